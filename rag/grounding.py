"""Check the sentences a language model wrote against the abstracts. Writes nothing itself.

A sentence is kept when one or two sentences of one abstract, its quotes, are close to it in meaning, and

- every number in it stands in the quotes: digits, and the words zero to twelve, "three" and "3" being the same;
- every name in it (a word with inner capitals, with digits or in capitals anywhere; a capitalised word unless it opens
  the sentence) stands in the *title or abstract* of the cited paper, see :func:`rag.names.mentions`: a quote often
  says "our method" where the sentence has to name it;
- it is negated (not, no, never, without, n't, cannot, fails to, neither, nor, none) exactly when its quotes are.

Not checked: what a number or a name is said of, what a negation denies, units, ordinals, number words beyond twelve,
a capitalised word that opens the sentence, antonyms (faster, slower), and who does what to whom. The score is a
similarity, not a proof; it is shown as such.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from index.embedding.encoder import Encoder, Vectors
from index.sentences import sentence_spans
from index.terms import STOP_WORDS

from .answer import AnswerSentence, DroppedSentence
from .citations import Markers, cite
from .evidence.reader import PaperEvidence
from .names import mentions
from .retrieval import term_set
from .safety import MARKER, MARKER_RUN, strip_markers

MIN_SUPPORT = 0.5
_MARKER_BONUS = 0.05  # the paper the model named itself wins a close race
_SECOND_QUOTE = 0.9  # a second quote is cited when it comes this near to the first
_MAX_RANGE = 20  # a model that writes [1-9999] means nothing by it

_THINKING = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.S | re.I)
_THINKING_END = re.compile(r"</think(?:ing)?>", re.I)
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_GLUED_MARKER = re.compile(rf"""([.!?…。！？]["'”’)]*)(?={MARKER.pattern})""", re.I)
_TERMINATOR = re.compile(r"""[.!?…。！？]+["'”’)\]*_」』）]*$""")

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())
}
# "One" is a number unless it stands for a thing or a person: one of them, this one, one another, no one, one can.
_NUMBER_WORD = re.compile(
    rf"\b(?<!no )(?<!this )(?<!that )(?<!the )(?<!each )(?<!every )(?<!another )(?<!which )one\b"
    rf"(?! of\b| another\b| can\b| may\b| might\b| must\b| should\b|['’]s\b)"
    rf"|\b(?:{'|'.join(word for word in _NUMBER_WORDS if word != 'one')})\b",
    re.I,
)
_NAME = re.compile(r"\b(?:[A-Za-z]*[A-Z]{2,}\w*|\w*[a-z][A-Z]\w*|[A-Za-z]+-?\d\w*)\b")
_WORD = re.compile(r"[^\W_]+")
_NEGATION = re.compile(
    r"\b(?:not(?! only\b)|no(?!\. ?\d)|never|without|cannot|neither|nor|none|fail(?:s|ed|ing)? to)\b|n['’]t\b", re.I
)


@dataclass(frozen=True, slots=True)
class _Quote:
    paper: int
    sentence: int
    score: float


def visible_text(text: str) -> str:
    """Return what a model wrote without its thinking: tagged blocks, and all before a closing tag of its own.

    Some chat templates open the block in the prompt, so that the text only holds its end. A block that is not closed
    goes on to the end. As the text grows, what this returns grows at its end, unless such a lone closing tag comes.
    """
    return _THINKING_END.split(_THINKING.sub(" ", text))[-1].lstrip()


def split_model_text(text: str) -> list[str]:
    """Split what a model wrote into sentences that hold words, each with its markers before its terminator.

    Thinking, bullets and line numbers are removed. Markers that follow a terminator belong to the sentence before.

    Example:
        >>> split_model_text("It is fast. [1] It is small.[2]")
        ['It is fast [1].', 'It is small [2].']
    """
    lines = " ".join(_BULLET.sub("", line) for line in visible_text(text).splitlines())
    cleaned = _GLUED_MARKER.sub(r"\1 ", " ".join(lines.split()))
    sentences: list[str] = []
    for start, end in sentence_spans(cleaned):
        piece = cleaned[start:end]
        if sentences and (leading := MARKER_RUN.match(piece)):
            sentences[-1] = _with_markers(sentences[-1], leading[0].strip())
            piece = piece[leading.end() :].lstrip(" ,;:")
        if any(c.isalnum() for c in strip_markers(piece)):
            sentences.append(piece)
    return sentences


def _with_markers(sentence: str, markers: str) -> str:
    terminator = _TERMINATOR.search(sentence)
    end = terminator.start() if terminator else len(sentence)
    return f"{sentence[:end]} {markers}{sentence[end:]}"


def ends_whole(sentence: str) -> bool:
    """Whether a sentence of :func:`split_model_text` has its terminator; without one the model was cut off."""
    return _TERMINATOR.search(strip_markers(sentence)) is not None


def ground(
    sentence: str, evidence: Sequence[PaperEvidence], encoder: Encoder, markers: Markers
) -> AnswerSentence | DroppedSentence:
    """Attach citations to one sentence, or say why it is dropped.

    Args:
        sentence: As the model wrote it, with its own markers, which are only a hint.
        evidence: The papers in the prompt; number ``i + 1`` is ``evidence[i]``.
        encoder: Embeds the sentence.
        markers: Gives cited papers their numbers.
    """
    text = strip_markers(sentence)
    if len(term_set(text)) < 2:
        return DroppedSentence(text or sentence, "it says nothing that could be checked", 0.0)
    vector = encoder.embed_queries([text])[0]
    quotes = sorted(_quotes(text, vector, evidence, _papers_named(sentence)), key=lambda quote: -quote.score)
    if not quotes:
        return DroppedSentence(text, "no abstract was retrieved", 0.0)
    best = quotes[0]
    support = round(min(1.0, max(0.0, best.score)), 4)
    if support < MIN_SUPPORT:
        return DroppedSentence(text, "no sentence of the retrieved abstracts says this", support)
    floor = max(MIN_SUPPORT, _SECOND_QUOTE * best.score)
    near = [quote for quote in quotes[1:] if quote.paper == best.paper and quote.score >= floor][:1]
    found = evidence[best.paper]
    if reason := _what_differs(text, found, [best, *near]):
        if not near or _what_differs(text, found, [best]):
            return DroppedSentence(text, reason, support)
        near = []  # it is the second quote alone that differs
    stored = found.hit.stored
    citations = tuple(
        cite(stored.paper, stored.sentences[q.sentence], markers, round(min(1.0, max(0.0, q.score)), 4))
        for q in sorted([best, *near], key=lambda q: q.sentence)
    )
    return AnswerSentence(text, support, citations)


def _what_differs(text: str, found: PaperEvidence, chosen: Sequence[_Quote]) -> str:
    """Return why the chosen quotes do not support ``text``, "" if they do."""
    stored = found.hit.stored
    quoted = " ".join(stored.paper.abstract[slice(*stored.sentences[quote.sentence])] for quote in chosen)
    given = set(_numbers(quoted).values())
    for written, number in _numbers(text).items():
        if number not in given:
            return f"the nearest sentence does not give the number {written}"
    for name in _names(text):
        if not mentions(stored.paper, name):
            return f"the paper does not mention {name}"
    negated, negated_there = _NEGATION.search(text), _NEGATION.search(quoted)
    if negated and not negated_there:
        return f"it says “{negated[0]}”, and the nearest sentence has no negation"
    if negated_there and not negated:
        return f"the nearest sentence says “{negated_there[0]}”, and it has no negation"
    return ""


def _numbers(text: str) -> dict[str, str]:
    """Return the numbers of a text: as written, and in digits without thousands separators."""
    numbers = {n: re.sub(r",(?=\d{3}(?!\d))", "", n) for n in _NUMBER.findall(text)}
    return numbers | {word: _NUMBER_WORDS[word.lower()] for word in _NUMBER_WORD.findall(text)}


def _names(text: str) -> list[str]:
    words = list(_WORD.finditer(text))[1:]  # the first word has a capital in any case
    plain = [
        w[0] for w in words if len(w[0]) > 1 and w[0].isalpha() and w[0].istitle() and w[0].lower() not in STOP_WORDS
    ]
    return [*_NAME.findall(text), *plain]


def _papers_named(sentence: str) -> set[int]:
    """Return the indices of the papers that a sentence's markers name."""
    named: set[int] = set()
    for marker in MARKER.findall(" ".join(sentence.split())):
        for first, last in re.findall(r"(\d+)(?: ?[–—-] ?(\d+))?", marker.split("†")[0]):
            low, high = int(first), int(last or first)
            named |= set(range(low - 1, high)) if high - low <= _MAX_RANGE else {low - 1, high - 1}
    return named


def _quotes(
    text: str,
    vector: Vectors,
    evidence: Sequence[PaperEvidence],
    named: set[int],
) -> list[_Quote]:
    """Score every retrieved sentence: half meaning, half the share of the text's words it holds."""
    words = term_set(text)
    quotes = []
    for number, found in enumerate(evidence):
        stored = found.hit.stored
        title = term_set(stored.paper.title)
        similarity = stored.sentence_vectors @ vector
        for index, (start, end) in enumerate(stored.sentences):
            share = len(words & (term_set(stored.paper.abstract[start:end]) | title)) / len(words)
            score = 0.5 * float(similarity[index]) + 0.5 * share + (_MARKER_BONUS if number in named else 0.0)
            quotes.append(_Quote(number, index, score))
    return quotes
