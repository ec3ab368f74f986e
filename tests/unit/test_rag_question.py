"""Reading a question: its form, its names, and what a paper mentions."""

import pytest

from index.paper import Paper
from rag.question import Form, Name, clean_question, find_names, form_of, mentions, missing_names


@pytest.mark.parametrize(
    ("question", "form"),
    [
        ("Which paper removes token mixers from a vision backbone?", Form.SINGLE),
        ("How does dropout help graph networks?", Form.SINGLE),
        ("papers on image super-resolution", Form.LIST),
        ("Which works deal with over-squashing, and what remedy does each use?", Form.LIST),
        ("any papers using mamba?", Form.LIST),
        ("who uses zero knowledge proofs with deep nets?", Form.LIST),
        ("FPGA deployments in this collection?", Form.LIST),
        ("SMEAR and ReMoE: how do they differ?", Form.COMPARISON),
        ("AVESFormer vs PMCANet: compute?", Form.COMPARISON),
        ("what does compound scaling scale in EfficientNet and what in EfficientDet?", Form.COMPARISON),
    ],
)
def test_the_form_follows_the_wording(question: str, form: Form) -> None:
    assert form_of(question) is form


def names(question: str, known: set[str] = frozenset()) -> dict[str, float]:
    found = find_names(
        question, known.__contains__, lambda words: [4 if word == "librispeech" else 1 for word in words]
    )
    return {name.text: name.weight for name in found}


def test_digits_and_capitals_make_names() -> None:
    assert names("What AO does LightTrack get on GOT-10k?") == {"AO": 0.3, "LightTrack": 1.0, "GOT-10k": 1.0}


def test_the_first_word_is_not_a_name_for_its_capital() -> None:
    assert names("Does it work? Which model wins?") == {}


def test_a_rare_lower_case_word_is_a_weak_name_unless_the_collection_knows_it() -> None:
    assert names("whisper on librispeech") == {"librispeech": 0.4}
    assert names("whisper on librispeech", {"librispeech"}) == {}


PAPER = Paper(
    id="x",
    title="FALCON: Honest-Majority Framework",
    abstract="Secure multi-party computation on the WavTokenizer at 24kHz with 1024 units, up to 2.5x faster GNNs.",
)


@pytest.mark.parametrize(
    "name", ["falcon", "WavTokenizer", "wav-tokenizer", "MPC", "1024px", "24", "kHz", "GNN", "2.5x"]
)
def test_a_paper_mentions(name: str) -> None:
    assert mentions(PAPER, name)


@pytest.mark.parametrize("name", ["GOT-10k", "PSNR", "1024k9", "512", "102", "RNN", "Falconer"])
def test_a_paper_does_not_mention(name: str) -> None:
    assert not mentions(PAPER, name)


def test_missing_names_are_those_no_paper_mentions() -> None:
    other = Paper(id="y", title="A", abstract="We report PSNR.")
    wanted = [Name("PSNR", 1.0), Name("GoPro", 1.0), Name("FALCON", 1.0)]
    assert missing_names(wanted, [PAPER, other]) == [Name("GoPro", 1.0)]


@pytest.mark.parametrize("raw", ["", "   ", "\u200b\n\t"])
def test_an_empty_question_is_refused_with_advice(raw: str) -> None:
    with pytest.raises(ValueError, match=r"question is empty.*for example"):
        clean_question(raw, 2000)


def test_a_huge_question_is_refused_with_both_lengths() -> None:
    with pytest.raises(ValueError, match=r"100,000 characters; at most 2,000"):
        clean_question("x" * 100_000, 2000)


def test_a_question_becomes_one_visible_line() -> None:
    assert clean_question(" What\u200b is\n\n this?\x00 ", 100) == "What is this?"
