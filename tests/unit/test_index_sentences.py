"""Sentence spans: worked examples, properties over any text, and agreement with abstracts split by hand."""

import itertools
import json
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from index.sentences import MAX_SENTENCE_CHARS, sentence_spans

ABSTRACTQA = Path(__file__).parents[3] / "shared" / "data" / "abstractqa"


@pytest.mark.parametrize(
    "sentences",
    [
        ["It works, e.g. on v1.5.", "We show how."],
        ["Some tasks, i.e. Atari games, are hard.", "Others are not."],
        ["We follow Smith et al. [3] here.", "It helps."],
        ["This was shown by Smith et al.", "We extend it."],
        ["It gains 3.14 points over 2.0 baselines.", "That is 5.5% more."],
        ["The lemma of J. Smith and A. B. Jones holds.", "We prove it."],
        ["See Fig. 3 and Eq. 4 for more.", "The code is free."],
        ["Code: https://example.org/a.b/C.html.", "Data is there too."],
        ["We ask two things: (a) is it fast? (b) is it right?", "Both hold."],
        ["We (a) train, (b) test. (c) then we stop.", "(A new sentence begins with a capital.)"],
        ["Is it fast?", "Yes!", "It is."],
        ["It is done (see above).", "The rest follows."],
        ['He said "it works."', "We agree."],
        ["It runs on iOS.", "zkDL proves it.", "t5 is faster."],
        ["第一句。", "第二句！", "第三句"],
        ["One."],
    ],
)
def test_worked_examples(sentences: list[str]) -> None:
    text = ("" if "。" in sentences[0] else " ").join(sentences)
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u2003"])
def test_nothing_has_no_sentences(text: str) -> None:
    assert sentence_spans(text) == []


PIECES = st.sampled_from(
    ["A", "b", "Word ", "word ", ". ", "! ", "? ", ".", "。", "！”", " ", "\n", "\u2003", "e.g. ", "et al. ", "J. ",
     "(", ")", '"', "”", "3.5 ", "; ", ", ", "x" * 700, "y, " * 300, "😀", "\u0301", "…", "\x1c"]
)  # fmt: skip
ANY_TEXT = st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join))


@given(ANY_TEXT)
@example("x" * 2500)
@example("a " * 2000 + ".")
@example(f"{'x' * 999} y")
def test_spans_cover_the_text_and_nothing_twice(text: str) -> None:
    spans = sentence_spans(text)
    covered = [False] * len(text)
    for start, end in spans:
        assert 0 <= start < end <= len(text)
        assert end - start <= MAX_SENTENCE_CHARS
        assert text[start:end] == text[start:end].strip()
        assert not any(covered[start:end])
        covered[start:end] = [True] * (end - start)
    assert spans == sorted(spans)
    assert all(inside or character.isspace() for inside, character in zip(covered, text, strict=True))


def test_a_long_sentence_is_cut_at_a_joint() -> None:
    text = "; ".join(f"item number {i} of a list" for i in range(100)) + "."
    spans = sentence_spans(text)
    assert 2000 < len(text) < 3000
    assert len(spans) == 3
    assert all(text[start:end].startswith("item") and text[start:end][-1] in ";." for start, end in spans)


@pytest.mark.parametrize(
    "piece",
    ["x", ".", "(", "e.g. ", "E.g. ", "Fig. A ", "et al.) ", "(a.) b ", "x.(", '."', "。", "? ", "x. Y", '"', "A.B. ",
     " .", ". ", "x" * 99_000 + "("],
    ids=lambda piece: piece[:8],
)  # fmt: skip
def test_long_text_of_any_kind_takes_little_time(piece: str) -> None:
    text = "Before. " + piece * (100_000 // len(piece)) + ". After"
    began = time.perf_counter()
    sentence_spans(text)
    assert time.perf_counter() - began < 1


@pytest.mark.skipif(not ABSTRACTQA.is_dir(), reason="the development data abstractqa is not beside the repository")
def test_agreement_with_abstracts_split_by_hand() -> None:
    right = wrong = missed = 0
    for part in ("train", "dev", "test"):
        for line in (ABSTRACTQA / f"{part}.jsonl").read_text(encoding="utf-8").splitlines():
            sentences = json.loads(line)["sentences"]
            ends = {total - 1 for total in itertools.accumulate(len(sentence) + 1 for sentence in sentences)}
            found = {end for _, end in sentence_spans(" ".join(sentences))}
            right, wrong, missed = right + len(ends & found), wrong + len(found - ends), missed + len(ends - found)
    assert right > 9000
    assert 2 * right / (2 * right + wrong + missed) >= 0.995
