"""Let a citation marker name only papers that are there. Does not make a model cite, nor cite the right paper.

A marker is an opening bracket ("[", "【", "［", once or twice) and then only numbers, blanks, commas, dashes and the
words "paper", "source" and "and": "[1, 2]", "[1-3]", "[Paper 2]", "【1†source】". While one is written, every token
that would bring a number outside 1 to ``papers`` is forbidden: with 5 papers "[0]", "[01]", "[12]" and "[Paper 9]"
cannot be written. As soon as something else stands in the bracket ("[CLS]", "[see 12]"), it is no marker, and nothing
is forbidden. Numbers outside brackets are never touched.

Only tokens that hold a digit can do harm. Which of them do depends on nothing but the open marker, and is found by
trying them all, once for each state of a marker; a step then costs some microseconds whatever the vocabulary.
"""

import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

from .written_text import Vocabulary, WrittenText

_OPENS = "[【［"
_BETWEEN = ",;&^–—-"
_EMPHASIS = "*_`"  # taken out of an answer before it is read, so [**12**] is a marker
_WORDS = frozenset({"paper", "papers", "source", "sources", "and"})
_NO_NUMBER = 10**9  # with which no allowed number begins
_MAX_REMEMBERED = 2000


class Marker(NamedTuple):
    """What of an open marker decides what may follow.

    Attributes:
        number: The number it ends with so far; 0 if it ends with none.
        word: The word it ends with so far, in small letters.
    """

    number: int = 0
    word: str = ""


def read_marker(marker: Marker | None, text: str, papers: int) -> tuple[Marker | None, bool]:
    """Read on in a text, as far as the first number in a marker that is not allowed.

    Args:
        marker: What is open before the text; None outside markers.
        text: The text.
        papers: The numbers 1 to ``papers`` are allowed.

    Returns:
        What is open after it, and whether every number in markers was allowed.

    Example:
        >>> read_marker(None, "It is fast [1, 1", papers=12)
        (Marker(number=1, word=''), True)
        >>> read_marker(Marker(number=1), "3]", papers=12)
        (None, False)
    """
    for char in text:
        if char in _OPENS:
            marker = Marker()
        elif marker is not None:
            marker = _after(marker, char)
            if marker is not None and marker.number > papers and char.isdecimal():
                return None, False
    return marker, True


def _after(marker: Marker, char: str) -> Marker | None:
    """Return what is open after one more character, which is no opening bracket."""
    if _is_left_out(char):
        # Some of these are blanks to one who does not take them out: after a number, no digit may follow them at all.
        return marker._replace(number=_NO_NUMBER) if marker.number and char.isspace() else marker
    if (letter := char.casefold()).isalpha():
        word = marker.word + letter
        return Marker(word=word) if any(known.startswith(word) for known in _WORDS) else None
    if marker.word and marker.word not in _WORDS:
        return None
    if char.isdecimal():
        return Marker(marker.number * 10 + int(char) or _NO_NUMBER)
    return Marker() if char.isspace() or char in _BETWEEN else None


def _is_left_out(char: str) -> bool:
    """Whether a character is taken out of an answer before its markers are read."""
    return char in _EMPHASIS or (unicodedata.category(char).startswith("C") and char not in "\t\n")


class CitationRules:
    """The tokens that are forbidden in each state of a marker; made once for a model, usable by several threads.

    Args:
        vocabulary: Of the model's tokenizer.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._opening = {token: text for token, text in vocabulary.with_digit.items() if _opens(text)}
        self._incomplete_opening = {token: text for token, text in vocabulary.incomplete.items() if _has_digit(text)}
        self._known: dict[tuple[int, Marker | None, tuple[int, ...]], Any] = {}

    def forbidden(self, papers: int, marker: Marker | None, written: WrittenText, scores: Any) -> Any:
        """Return the ids of the tokens that may not come next, a tensor of shape (n_forbidden,) beside the scores.

        Args:
            papers: The numbers 1 to ``papers`` are allowed.
            marker: What is open at the end of the written text.
            written: What was written; of it only an incomplete character at the end plays a part here.
            scores: The scores of all tokens, shape (1, n_tokens); only where and how many they are plays a part.
        """
        import torch

        inside = marker is not None
        completing = self._vocabulary.incomplete if inside else self._incomplete_opening
        key = papers, marker, written.pending if completing else ()
        known = self._known.get(key)
        if known is None:
            texts = dict(self._vocabulary.with_digit if inside else self._opening)
            if key[2]:  # a token that completes a character is tried behind what it completes: a digit, or a bracket
                texts |= zip(completing, written.next_texts(list(completing)), strict=True)
            wrong = [
                token
                for token, text in texts.items()
                if token < scores.shape[-1] and not read_marker(marker, text, papers)[1]
            ]
            known = torch.tensor(wrong, dtype=torch.long, device=scores.device)
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            self._known[key] = known
        return known


class CitationProcessor:
    """A logits processor of transformers for one answer, a batch of one.

    Args:
        rules: Of the model.
        written: What the model has written; also updated here.
        papers: Markers may name the numbers 1 to ``papers``; with 0 there is no marker at all.
        ways_out: Tokens of which one is allowed if nothing else is: those that end the answer, or close a bracket.
    """

    def __init__(self, rules: CitationRules, written: WrittenText, papers: int, ways_out: Sequence[int]) -> None:
        self._rules = rules
        self._written = written
        self._papers = papers
        self._ways_out = list(ways_out)
        self._marker: Marker | None = None
        self._read = 0  # how many characters of the written text

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Return the scores with those of forbidden tokens at minus infinity.

        Args:
            input_ids: The prompt and what was written, shape (1, n).
            scores: Any numbers, shape (1, n_tokens), higher is better; left as they are.
        """
        self._written.update(input_ids)
        self._marker, _ = read_marker(self._marker, self._written.text[self._read :], self._papers)
        self._read = len(self._written.text)
        forbidden = self._rules.forbidden(self._papers, self._marker, self._written, scores)
        if not len(forbidden):
            return scores
        allowed = scores.index_fill(1, forbidden, float("-inf"))
        if self._ways_out and bool(allowed.max() == float("-inf")):
            allowed[:, self._ways_out] = 0.0
        return allowed


def _opens(text: str) -> bool:
    return any(char in _OPENS for char in text)


def _has_digit(text: str) -> bool:
    return any(char.isdecimal() for char in text)
