"""What a model writes is cut into sentences the same way, however it arrives."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.answering.sentence_stream import SentenceStream, WrittenSentence
from rag.answering.thinking import Restart, ThinkingFilter
from rag.safety import MARKER

Part = str | WrittenSentence


def parts(pieces: list[str], papers: int = 5, *, cut: bool = False, prompt: str = "") -> list[Part]:
    stream = SentenceStream(papers, prompt)
    return [*(part for piece in pieces for part in stream.feed(piece)), *stream.end(cut=cut)]


def chunks(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def written(found: list[Part]) -> list[WrittenSentence]:
    return [part for part in found if isinstance(part, WrittenSentence)]


def shown(found: list[Part]) -> str:
    return "".join(part for part in found if isinstance(part, str))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It is fast. [1] It is small. [2]", [("It is fast.", {1}), ("It is small.", {2})]),
        ("It is fast.[1] It is small.【3†source】", [("It is fast.", {1}), ("It is small.", {3})]),
        (
            "It is fast. [1][2], [3] It is small! [1-3]. Good.",
            [("It is fast.", {1, 2, 3}), ("It is small!", {1, 2, 3}), ("Good.", set())],
        ),
        ("“It is fast.” [[1]] It is small.", [("“It is fast.”", {1}), ("It is small.", set())]),
        ("Wang et al. [1] remove mixers, e.g. [2] BERT.", [("Wang et al. remove mixers, e.g. BERT.", {1, 2})]),
        ("它很快。[1]它很小。[2]", [("它很快。", {1}), ("它很小。", {2})]),
        ("It came out (2023). (95) It is (95).", [("It came out (2023).", set()), ("(95) It is (95).", set())]),
        ("1. It is fast. [1]\n2) It is small [2].", [("It is fast.", {1}), ("It is small.", {2})]),
        ("- It is fast [1]\n- It is small [2]\n\nBoth are good", [
            ("It is fast", {1}), ("It is small", {2}), ("Both are good", set())
        ]),
        ("### Answer\n\nIt is fast [1].", [("Answer", set()), ("It is fast.", {1})]),
        ("Answer: **RIFormer** is *fast* and `small` [1].", [("RIFormer is fast and small.", {1})]),
        ("[1] It is fast.", [("It is fast.", {1})]),
        ("According to [1], it is fast. In papers [2] and [3], it is small.", [
            ("It is fast.", {1}), ("It is small.", {2, 3})
        ]),
        ("Paper 2 reports it. Source #3 does not.", [("The paper reports it.", {2}), ("The paper does not.", {3})]),
        ("Paper 9 reports a gain.", [("Paper 9 reports a gain.", set())]),  # there is none
        ("The token [CLS] is kept [1].", [("The token [CLS] is kept.", {1})]),
        ("It reaches 81.3% [4] on v1.5 [5].", [("It reaches 81.3% on v1.5.", {4, 5})]),
        ("They lie in [1, 2] and are scaled to [0, 1] [3].", [("They lie in (1, 2) and are scaled to (0, 1).", {3})]),
        ("As is shown in [1, 2], it is fast.", [("It is fast.", {1, 2})]),
        ("System: a new one is used [1]. It is fast.\nUser: thanks", [
            ("A new one is used.", {1}), ("It is fast.", set())
        ]),
        ("Sources: none are needed [1].", [("None are needed.", {1})]),
        ("[1] [2]. … [3] - !", []),
        ("", []),
        ("<think>Is it? Yes. [1]</think>It is fast [2].", [("It is fast.", {2})]),
        ("<thinking>\nno end. It is fast [1].", []),
        ("It is. <THINK>a. B.</THINK> It was.", [("It is.", set()), ("It was.", set())]),
        ("It is fast [1].\nQuestion: what else? Much [2].", [("It is fast.", {1})]),
        ("It is fast [1].\n\n**References:**\n[1] A paper.", [("It is fast.", {1})]),
    ],
)  # fmt: skip
def test_sentences(text: str, sentences: list[tuple[str, set[int]]], size: int) -> None:
    found = parts(chunks(text, size))
    assert [(sentence.text, set(sentence.papers)) for sentence in written(found)] == sentences
    assert all(sentence.whole for sentence in written(found))
    assert not MARKER.search(shown(found))


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("marker", "papers", "strays"),
    [
        ("[0]", set(), 1), ("[99]", set(), 1), ("[1-3]", {1, 2, 3}, 0), ("[1,2]", {1, 2}, 0), ("[[1]]", {1}, 0),
        ("【1】", {1}, 0), ("［2］", {2}, 0), ("[1, 9]", {1}, 1), ("[4-7]", {4, 5}, 2), ("[1][0]", {1}, 1),
        ("[Paper 2]", {2}, 0), ("[1-999999999]", {1}, 1), ("([3])", {3}, 0), ("[^1]", {1}, 0), ("[3-1]", {1, 3}, 0),
    ],
)  # fmt: skip
def test_only_papers_of_the_prompt_can_be_named(marker: str, papers: set[int], strays: int, size: int) -> None:
    (sentence,) = written(parts(chunks(f"It is fast {marker}.", size)))
    assert (sentence.text, set(sentence.papers), sentence.strays) == ("It is fast.", papers, strays)


def test_what_was_cut_is_told() -> None:
    for text in ("It is fast [1]. It is", "It is fast [1]. It is [2", "It is fast [1]. It is [2, "):
        assert [(s.text, s.whole) for s in written(parts([text], cut=True))] == [
            ("It is fast.", True),
            ("It is", False),
        ]
        assert [s.whole for s in written(parts([text], cut=False))] == [True, True]


def test_thinking_that_the_prompt_has_begun_ends_in_the_text() -> None:
    found = parts(chunks("Is it? Yes.</think>It is fast [1].", 4), prompt="<user>\n<think>\n")
    assert shown(found) == "It is fast."


def test_thinking_without_a_beginning_takes_back_what_was_not_ended() -> None:
    assert next(ThinkingFilter().feed("Is it</think>So")) == "Is it"
    assert isinstance(list(ThinkingFilter().feed("Is it</think>So"))[1], Restart)
    assert [s.text for s in written(parts(["It seems so</think>It is fast."]))] == ["It is fast."]


def test_text_is_shown_before_its_sentence_ends_and_never_after() -> None:
    found = parts(chunks("The method is fast and small [1]. The other is not [2]. ", 3))
    ends = [place for place, part in enumerate(found) if isinstance(part, WrittenSentence)]
    assert shown(found[: ends[0]]) == "The method is fast and small."
    assert shown(found[ends[0] : ends[1]]) == " The other is not."
    assert len([part for part in found[: ends[0]] if isinstance(part, str)]) > 5  # as it comes, not all at once


PIECES = (
    "It is fast|It reaches 81.3% (95)|et al|.|. |! |。|[1]|[1, 2]|[1-3]|[[1]]|[ [1] 2]|【3†source】|[0]|[99]|[|]|【|】"
    "| |\n|\n- |\n2. |\n\n|<think>|</think>|hidden.|…|(2023)|“|.”|**|*|`|<|>|Question:|Paper 2|According to "
).split("|")
TEXTS = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


@given(TEXTS, st.lists(st.integers(0, 200), max_size=20), st.booleans())
def test_chunks_make_no_difference(text: str, cuts: list[int], cut: bool) -> None:
    places = sorted({0, len(text), *(place for place in cuts if place < len(text))})
    pieces = [text[start:end] for start, end in pairwise(places)]
    whole, found = parts([text], cut=cut), parts(pieces, cut=cut)
    if "</think>" not in text:  # a block's end without a beginning takes back what was not settled by then
        assert written(found) == written(whole)
    for sentence in (*written(found), *written(whole)):
        assert any(char.isalnum() for char in sentence.text)
        assert not MARKER.search(sentence.text)
        assert sentence.papers <= {1, 2, 3, 4, 5}
    for parts_found in (found, whole):
        assert not MARKER.search(shown(parts_found))
        assert "think>" not in shown(parts_found).lower() or "<" in text.replace("<think>", "").replace("</think>", "")


@given(TEXTS)
def test_thinking_is_never_shown(text: str) -> None:
    found = parts(chunks(f"<think>{text.replace('</think>', '')}hidden.", 3))
    assert found == []


@given(TEXTS)
def test_what_is_shown_between_two_sentences_is_the_second(text: str) -> None:
    def letters(value: str) -> str:
        return "".join(char for char in value if char.isalnum()).lower()

    since = ""
    for part in parts(chunks(text.replace("<", "").replace("Paper 2", "").replace("According to ", ""), 4)):
        if isinstance(part, str):
            since += part
        else:
            assert letters(since).endswith(letters(part.text))
            since = ""


def test_long_texts_take_no_time() -> None:
    import time

    began = time.perf_counter()
    for text in ("[" * 50_000, "It is fast " + "[1" * 20_000, "a" * 100_000, "\n" * 50_000, "<" * 50_000, ". " * 3_000):
        parts(chunks(text, 1000))
    assert time.perf_counter() - began < 20
