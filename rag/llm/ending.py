"""Let an answer end with a sentence rather than in the middle of one. Does not make it shorter than three quarters.

A limit on tokens cuts wherever it falls, and the sentence that it cuts is lost. So in the last quarter of them, when a
sentence has ended and the model is about to begin another, or anything else, it may only end. Whether one has ended
depends on what the model would write next: a mark that closes, or the marker of the sentence, still belongs to it.
"""

import re
from collections.abc import Sequence
from typing import Any

from index.sentences import sentence_spans

from ..safety import MARKER
from ..thinking_tags import is_inside, opens_at_end
from .written_text import WrittenText

_FROM_SHARE = 0.75
_TAIL_CHARS = 600  # of the text, in which the last sentence is looked for
_BEGINS_MARKER = ("[", "【", "［")
_EMPHASIS = re.compile(r"[*_`]")
_LIST_NUMBER = re.compile(r"(?:^|\n)\s*(?:[-*•]\s*)?\d{1,2}[.)]\s*\Z")


class EndingProcessor:
    """A logits processor of transformers for one answer, a batch of one; the last, as it looks at what is chosen.

    Args:
        written: What the model has written; also updated here.
        max_new_tokens: The most it may write.
        ends: Tokens that end an answer; without any, nothing is done.
        prompt: What it was given; some chat templates open a block of thinking there, and thinking is no answer.
    """

    def __init__(self, written: WrittenText, max_new_tokens: int, ends: Sequence[int], prompt: str = "") -> None:
        self._written = written
        self._from = _FROM_SHARE * max_new_tokens
        self._ends = list(ends)
        self._begins_inside = opens_at_end(prompt)

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Return the scores as they are, or with all but the ends' at minus infinity.

        Args:
            input_ids: The prompt and what was written, shape (1, n).
            scores: Any numbers, shape (1, n_tokens), higher is better; left as they are.
        """
        self._written.update(input_ids)
        if self._written.tokens < self._from or not self._ends:
            return scores
        preferred = int(scores[0].argmax())
        if preferred in self._ends or not self._is_over(self._written.next_texts([preferred])[0]):
            return scores
        import torch

        ended = torch.full_like(scores, float("-inf"))
        ended[:, self._ends] = scores[:, self._ends].clamp(min=torch.finfo(scores.dtype).min)
        return ended

    def _is_over(self, following: str) -> bool:
        text = self._written.text
        return ends_sentence(text[-_TAIL_CHARS:], following) and not is_inside(text, self._begins_inside)


def ends_sentence(text: str, following: str) -> bool:
    """Whether the last sentence of a text is over, its marker included, if ``following`` is written next.

    Example:
        >>> ends_sentence("It is fast [1].", " The")
        True
        >>> ends_sentence("It is fast.", " [1]"), ends_sentence("It is fast, e.g.", " on"), ends_sentence("by 3.", "5")
        (False, False, False)
    """
    begun = following.strip()
    if begun.startswith(_BEGINS_MARKER) or not (begun or "\n" in following) or _LIST_NUMBER.search(text):
        return False
    # Markers are blanked out, so that "It is fast.[1] It is small" has its full stop before a blank.
    view = MARKER.sub(lambda marker: " " * len(marker[0]), _EMPHASIS.sub("", text).replace("\n", " "))
    spans = sentence_spans(f"{view}{following}" if begun else f"{view} The")
    return len(spans) > 1 and spans[-1][0] >= len(view.rstrip())
