"""Passages: no sentence is lost, the window is kept, and there is always progress."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.passages import SPECIAL_TOKENS, Passage, split_passages
from index.sentences import sentence_spans


def counter(title_tokens: int, sentence_tokens: Sequence[int]) -> Callable[[Sequence[str]], list[int]]:
    def count(texts: Sequence[str]) -> list[int]:
        assert len(texts) == 1 + len(sentence_tokens)
        return [title_tokens, *sentence_tokens]

    return count


def places(passages: Sequence[Passage]) -> list[tuple[int, int]]:
    """Return the first sentence of each passage, by its number, and how many it has."""
    numbers = {span: n for n, span in enumerate(sorted({span for p in passages for span in p.sentences}))}
    return [(numbers[p.sentences[0]], len(p.sentences)) for p in passages]


def abstract_of(sentences: int) -> str:
    return " ".join(f"Sentence number {i} is here." for i in range(sentences))


@given(st.integers(0, 300), st.lists(st.integers(0, 300), max_size=25), st.integers(0, 256))
def test_properties(title_tokens: int, counts: list[int], max_tokens: int) -> None:
    abstract = abstract_of(len(counts))
    passages = split_passages("T", abstract, max_tokens, counter(title_tokens, counts))
    spans = sentence_spans(abstract)
    budget = max_tokens - SPECIAL_TOKENS - min(title_tokens, max_tokens // 2)

    covered = set()
    firsts = [spans.index(passage.sentences[0]) for passage in passages]
    for first, passage in zip(firsts, passages, strict=True):
        last = first + len(passage.sentences)
        assert passage.sentences == tuple(spans[first:last])
        assert (passage.start, passage.end) == (passage.sentences[0][0], passage.sentences[-1][1])
        assert len(passage.sentences) == 1 or sum(counts[first:last]) <= budget
        covered.update(range(first, last))
    assert covered == set(range(len(spans)))
    for before, after in pairwise(passages):
        assert after.start > before.start
        assert after.end > before.end
        assert len(set(before.sentences) & set(after.sentences)) in (0, 1)


def test_an_abstract_within_the_window_is_one_passage() -> None:
    (passage,) = split_passages("T", abstract_of(4), 60, counter(17, [10, 10, 10, 10]))
    assert len(passage.sentences) == 4
    assert (passage.start, passage.end) == (0, len(abstract_of(4)))


def test_one_token_more_than_the_window_makes_a_second_passage() -> None:
    passages = split_passages("T", abstract_of(4), 60, counter(17, [10, 10, 10, 11]))
    assert places(passages) == [(0, 3), (2, 2)]


def test_neighbours_share_a_sentence() -> None:
    passages = split_passages("T", abstract_of(5), 50, counter(17, [10] * 5))
    assert places(passages) == [(0, 3), (2, 3)]


def test_a_sentence_that_would_block_the_next_is_not_shared() -> None:
    passages = split_passages("T", abstract_of(4), 50, counter(17, [10, 15, 20, 5]))
    assert places(passages) == [(0, 2), (2, 2)]


def test_a_title_takes_at_most_half_of_the_window() -> None:
    passages = split_passages("T", abstract_of(4), 46, counter(1000, [10] * 4))
    assert places(passages) == [(0, 2), (1, 2), (2, 2)]


def test_an_over_long_sentence_is_a_passage_by_itself() -> None:
    passages = split_passages("T", abstract_of(3), 50, counter(5, [10, 400, 10]))
    assert places(passages) == [(0, 1), (1, 1), (2, 1)]


@pytest.mark.parametrize("abstract", ["", "   "])
def test_no_abstract_no_passages(abstract: str) -> None:
    assert split_passages("T", abstract, 256, counter(1, [])) == []
