"""Cut abstracts into passages that fit the encoder, at sentence ends. Does not embed them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .sentences import sentence_spans

OVERLAP_SENTENCES = 1  # neighbouring passages share this many, so that no pair of sentences is torn apart
SPECIAL_TOKENS = 3  # room for the encoder's own marks ([CLS], [SEP]) and the break after the title


@dataclass(frozen=True, slots=True)
class Passage:
    """A run of whole sentences of one abstract.

    Attributes:
        start: First character in the abstract.
        end: One past the last character.
        sentences: Half-open character spans into the *abstract*, in order.
    """

    start: int
    end: int
    sentences: tuple[tuple[int, int], ...]


def split_passages(
    title: str, abstract: str, max_tokens: int, count_tokens: Callable[[Sequence[str]], list[int]]
) -> list[Passage]:
    """Split an abstract into passages that hold at most ``max_tokens`` tokens with the title in front.

    Every sentence is in at least one passage. A sentence that is too long on its own is a passage by itself.

    Args:
        title: The paper's title; it counts towards the limit, for at most half of it.
        abstract: Cleaned abstract.
        max_tokens: The encoder's window.
        count_tokens: The encoder's own count for each text.
    """
    spans = sentence_spans(abstract)
    title_tokens, *counts = count_tokens([title, *(abstract[start:end] for start, end in spans)])
    budget = max_tokens - SPECIAL_TOKENS - min(title_tokens, max_tokens // 2)
    passages: list[Passage] = []
    first = 0
    while first < len(spans):
        last, used = first + 1, counts[first]
        while last < len(spans) and used + counts[last] <= budget:
            used += counts[last]
            last += 1
        inside = tuple(spans[first:last])
        passages.append(Passage(inside[0][0], inside[-1][1], inside))
        if last == len(spans):
            break
        # Share the last sentence with the next passage, unless that would leave no room to move on.
        step_back = min(OVERLAP_SENTENCES, last - first - 1)
        fits = step_back and sum(counts[last - step_back : last + 1]) <= budget
        first = last - step_back if fits else last
    return passages
