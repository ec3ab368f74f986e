"""Reading a question: cleaning it, and telling what form of answer it asks for."""

import pytest

from rag.question import Form, clean_question, form_of, parts_of


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
        ("fpga papers", Form.LIST),
        ("Explain how the token mixer works", Form.SINGLE),
        ("What works best for pruning?", Form.SINGLE),
        ("Is there a paper on audio codecs?", Form.SINGLE),
        ("SMEAR and ReMoE: how do they differ?", Form.COMPARISON),
        ("AVESFormer vs PMCANet: compute?", Form.COMPARISON),
        ("what does compound scaling scale in EfficientNet and what in EfficientDet?", Form.COMPARISON),
    ],
)
def test_the_form_follows_the_wording(question: str, form: Form) -> None:
    assert form_of(question) is form


@pytest.mark.parametrize("raw", ["", "   ", "\u200b\n\t"])
def test_an_empty_question_is_refused_with_advice(raw: str) -> None:
    with pytest.raises(ValueError, match=r"question is empty.*for example"):
        clean_question(raw, 2000)


def test_a_huge_question_is_refused_with_both_lengths() -> None:
    with pytest.raises(ValueError, match=r"100,000 characters; at most 2,000"):
        clean_question("x" * 100_000, 2000)


def test_a_question_becomes_one_visible_line() -> None:
    assert clean_question(" What\u200b is\n\n this?\x00 ", 100) == "What is this?"


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("How is it made?", ["How is it made?"]),
        ("What is speed and accuracy?", ["What is speed and accuracy?"]),
        (
            "How are the fragments made, and why not simply crop the video?",
            ["How are the fragments made", "why not simply crop the video?"],
        ),
        (
            "In FAST-VQA, how are the fragments made, and why not crop?",
            ["In FAST-VQA, how are the fragments made", "why not crop?"],
        ),
        (
            "Which dataset was rewritten? Which model was trained on it?",
            ["Which dataset was rewritten", "Which model was trained on it?"],
        ),
        ("How fast is it and is it free to use?", ["How fast is it", "is it free to use?"]),
        ("Is it fast, and what?", ["Is it fast, and what?"]),
    ],
)
def test_a_question_that_asks_several_things_has_parts(question: str, parts: list[str]) -> None:
    assert parts_of(question) == parts
