"""Whatever a model prefers to write, its citation markers name only papers that are there."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_model import tiny_tokenizer
from transformers import AutoTokenizer

from index.text import strip_invisible
from rag.llm.citation_processor import CitationProcessor, CitationRules, Marker, read_marker
from rag.llm.written_text import Vocabulary, WrittenText
from rag.safety import MARKER, marker_numbers

torch = pytest.importorskip("torch")
PROMPT = [5, 6]


class Writer:
    """A greedy model of which a test says what it prefers."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.vocabulary = Vocabulary(tokenizer)
        self.rules = CitationRules(self.vocabulary)

    def write(self, scores_of: Callable[[int], Any], papers: int, steps: int) -> str:
        written = WrittenText(self.vocabulary, len(PROMPT))
        processor = CitationProcessor(self.rules, written, papers, [self.tokenizer.eos_token_id])
        ids = list(PROMPT)
        for step in range(steps):
            ids.append(int(processor(torch.tensor([ids]), scores_of(step)).argmax()))
            if ids[-1] == self.tokenizer.eos_token_id:
                break
        return str(self.tokenizer.decode(ids[len(PROMPT) :], skip_special_tokens=True))

    def insist(self, tokens: Sequence[int], papers: int, seed: int = 0) -> str:
        """Prefer some tokens, in turn; where one is forbidden, chance decides."""
        scores = torch.rand(len(tokens), len(self.tokenizer), generator=torch.Generator().manual_seed(seed))
        for step, token in enumerate(tokens):
            scores[step, token] = 2.0
        return self.write(lambda step: scores[step : step + 1], papers, len(tokens))

    def tokens(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.fixture(scope="module")
def bpe() -> Writer:
    return Writer(tiny_tokenizer())


@pytest.fixture(scope="module")
def sentencepiece(stories: Path) -> Writer:
    return Writer(AutoTokenizer.from_pretrained(stories))


@pytest.fixture(scope="module", params=["bpe", "sentencepiece"])
def writer(request: pytest.FixtureRequest) -> Writer:
    found: Writer = request.getfixturevalue(request.param)
    return found


def numbers_named(text: str) -> set[int]:
    """The numbers in markers, as all who read answers may find them: with invisible characters and emphasis or not."""
    views = {text, strip_invisible(text), re.sub(r"[*_`]", "", strip_invisible(text)), text.replace("\r", "")}
    one_line = [" ".join(view.split()) for view in views]
    return {number for view in one_line for marker in MARKER.finditer(view) for number in marker_numbers(marker[0])}


def assert_only(papers: int, text: str) -> None:
    assert numbers_named(text) <= set(range(1, papers + 1)), text
    assert not re.search(r"[\[【［]\s*0", text), text


PIECES = [
    *"[ ] [[ ]] 【 】 ［ ］ 0 1 2 3 5 7 9 10 12 , ; - – — & and † source Paper Papers ^ . * _ ` １ ９ ٣ é 中".split(),
    *(" ", "\n", "\r", "\x1c", "\u200b", "\u00a0", " [", "[1", "word", "CLS"),
]
PAPERS = st.sampled_from([0, 1, 2, 5, 9, 10, 12, 120])
WISHES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=30)


@settings(max_examples=150, deadline=None)
@given(wishes=WISHES, papers=PAPERS, seed=st.integers(0, 99))
@example(wishes=["[", "１", "９", "]"], papers=12, seed=0)
@example(wishes=["［", "9", "\u200b", "9", "］"], papers=12, seed=0)
@example(wishes=["[", "1", "\r", "0", "]"], papers=10, seed=0)
@example(wishes=["[[", "1", ", ", "1", "3", "]]"], papers=12, seed=0)
def test_whatever_is_wanted_markers_name_only_papers(writer: Writer, wishes: list[str], papers: int, seed: int) -> None:
    assert_only(papers, writer.insist(writer.tokens("".join(wishes)), papers, seed))
    assert_only(papers, writer.insist([token for wish in wishes for token in writer.tokens(wish)], papers, seed))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), bias=st.floats(0, 5), papers=PAPERS)
def test_chance_writes_no_wrong_marker(writer: Writer, seed: int, bias: float, papers: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(80, len(writer.tokenizer), generator=generator)
    liked = [token for piece in PIECES for token in writer.tokens(piece)]
    liked += list(writer.vocabulary.with_digit) + list(writer.vocabulary.incomplete)[:: seed % 7 + 1]
    scores[:, liked] += bias * torch.rand(80, len(liked), generator=generator)
    assert_only(papers, writer.write(lambda step: scores[step : step + 1], papers, 80))


@pytest.mark.parametrize("opening", ["[", "[[", "【", "［", " [", "see [", "[ ", "[1, ", "[1-", "[Paper ", "[^"])
@pytest.mark.parametrize(("number", "papers"), [("0", 5), ("6", 5), ("12", 5), ("01", 5), ("1", 0), ("13", 12)])
def test_a_wrong_number_is_not_written(writer: Writer, opening: str, number: str, papers: int) -> None:
    if papers == 0 and "1" in opening:
        pytest.skip("that is a wrong number already")
    text = writer.insist(writer.tokens(f"It is fast {opening}{number}]."), papers)
    assert text.startswith("It is fast ")
    assert f"{opening}{number}]" not in text
    assert_only(papers, text)


@pytest.mark.parametrize(
    "text",
    [
        "It is fast [1]. It is small [12][3] and cheap [2, 5], [1-3], [[4]], 【5†source】, ［6］, [Paper 7].",
        "[Sources 1 and 2] [papers 3, 4]",
        "A token [CLS] and [MASK] and [see 99] and [Fig. 0], f[x] = 13, 99 of 100 (2023), 0.5 [ms]. 中 [é] 0]",
        "[ 1 ] [1 , 2] [10;11;12] [1–3] [2—4] [3&4]",
    ],
)
def test_what_is_allowed_is_written_as_it_is(writer: Writer, text: str) -> None:
    assert writer.insist(writer.tokens(text), papers=12).strip() == text


def test_without_a_bracket_nothing_is_changed(bpe: Writer) -> None:
    for seed in range(20):
        scores = torch.rand(60, len(bpe.tokenizer), generator=torch.Generator().manual_seed(seed))
        scores[:, [token for token in range(len(bpe.tokenizer)) if "[" in bpe.vocabulary.decode([token])]] = -1
        scores[:, bpe.tokenizer.eos_token_id] = -1
        wanted = bpe.tokenizer.decode(scores.argmax(dim=1), skip_special_tokens=True)
        assert bpe.write(lambda step, scores=scores: scores[step : step + 1], 1, 60) == wanted


def test_the_scores_of_what_is_allowed_are_left_alone(bpe: Writer) -> None:
    ids = torch.tensor([[*PROMPT, *bpe.tokens("fast [")]])
    scores = torch.rand(1, len(bpe.tokenizer))
    before = scores.clone()
    processor = CitationProcessor(bpe.rules, WrittenText(bpe.vocabulary, len(PROMPT)), 3, [2])
    after = processor(ids, scores)
    assert torch.equal(scores, before)
    forbidden = torch.isinf(after[0])
    assert torch.equal(after[0][~forbidden], before[0][~forbidden])
    assert {bpe.vocabulary.decode([token]) for token in forbidden.nonzero()[:, 0].tolist()} >= set("0456789")
    assert not forbidden[bpe.tokens("1")[0]]


def test_there_is_always_a_way_out(bpe: Writer) -> None:
    ids = torch.tensor([[*PROMPT, *bpe.tokens("fast [")]])
    scores = torch.full((1, len(bpe.tokenizer)), float("-inf"))
    scores[0, bpe.tokens("7")] = 1.0  # another rule has forbidden all the rest
    eos = bpe.tokenizer.eos_token_id
    after = CitationProcessor(bpe.rules, WrittenText(bpe.vocabulary, len(PROMPT)), 3, [eos])(ids, scores)
    assert int(after.argmax()) == eos
    assert torch.isfinite(after).sum() == 1


def test_a_character_of_several_tokens_counts_when_it_is_complete(bpe: Writer) -> None:
    bracket, nine = bpe.tokens("【"), bpe.tokens("９")
    assert len(bracket) > 1
    assert len(nine) > 1
    assert "９" not in bpe.insist([*bracket, *nine], papers=5)
    assert bpe.insist([*bracket, *nine], papers=9) == "【９"
    assert bpe.insist(nine, papers=5) == "９"


@settings(max_examples=200)
@given(text=st.text(st.sampled_from("[]【 0123456789,-paernd†*\r\u200b")), cut=st.integers(0, 20), papers=PAPERS)
def test_reading_in_two_pieces_is_reading_in_one(text: str, cut: int, papers: int) -> None:
    marker, allowed = read_marker(None, text[:cut], papers)
    if allowed:
        marker, allowed = read_marker(marker, text[cut:], papers)
    assert (marker, allowed) == read_marker(None, text, papers)
    if allowed:
        assert_only(papers, text)


def test_what_is_open_is_known() -> None:
    assert read_marker(None, "no [1] more", 3) == (None, True)
    assert read_marker(None, "[Pap", 3) == (Marker(word="pap"), True)
    assert read_marker(None, "[Papers 1 and ", 3) == (Marker(), True)
    assert read_marker(None, "[1†", 3) == (None, True)
    assert read_marker(None, "[CLS", 3) == (None, True)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=60) | st.text(st.sampled_from("a 中é【🙂\n1["), max_size=60))
def test_the_text_grows_to_what_all_tokens_decode_to(writer: Writer, text: str) -> None:
    tokens = writer.tokens(text)
    written = WrittenText(writer.vocabulary, len(PROMPT))
    grown = ""
    for end in range(len(tokens) + 1):
        written.update(torch.tensor([[*PROMPT, *tokens[:end]]]))
        assert written.text.startswith(grown)
        grown = written.text
    assert written.tokens == len(tokens)
    assert written.text == writer.vocabulary.decode(tokens).rstrip("\ufffd") or "\ufffd" in text
