"""The answer types: text, Markdown, BibTeX, and a JSON form that loses nothing."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.paper import Paper
from rag.answer import Answer, AnswerSentence, Citation, DroppedSentence, Source, Trace

PAPER = Paper(
    id="arxiv:1706.03762",
    title="Attention Is All You Need",
    abstract="We propose the Transformer. It is fast.",
    authors=("Ashish Vaswani", "Noam Shazeer"),
    year=2017,
    venue="NeurIPS",
    url="https://arxiv.org/abs/1706.03762",
)
OTHER = Paper(
    id="title:0", title="50% of {Graphs} & *Trees*", abstract="<img src=x onerror=alert(1)> [link](http://x)."
)


def source(paper: Paper, rank: int, marker: int | None) -> Source:
    return Source(paper, rank, 1.5, 0.6, 0.7, 0.5, rank, None, marker)


def quote(paper: Paper, marker: int, start: int, end: int) -> AnswerSentence:
    text = paper.abstract[start:end]
    return AnswerSentence(text, 1.0, (Citation(marker, paper.id, text, start, end, 1.0),))


ANSWER = Answer(
    question="What is proposed?",
    status="answered",
    sentences=(quote(PAPER, 1, 0, 27), quote(PAPER, 1, 28, 39)),
    sources=(source(PAPER, 1, 1), source(OTHER, 2, None)),
    dropped=(DroppedSentence("It cures.", "no abstract says so", 0.1),),
    trace=Trace(standalone_question="What is proposed?", notes=("a note",), timings_ms={"total": 3.0}),
)


def test_markers_stand_before_the_final_stop() -> None:
    assert ANSWER.text == "We propose the Transformer [1]. It is fast [1]."


def test_labelled_sentences_are_lines_of_a_list() -> None:
    listed = replace(
        ANSWER,
        sentences=(
            replace(ANSWER.sentences[0], label="Attention"),
            replace(quote(OTHER, 2, 0, 28), label="Trees"),
        ),
    )
    assert listed.text.splitlines() == [
        "- Attention — We propose the Transformer [1].",
        "- Trees — <img src=x onerror=alert(1)> [2]",
    ]


def test_a_refusal_says_why() -> None:
    refused = Answer("q", "refused", nearest=(PAPER,), reason="Nothing is near.")
    assert refused.text == "The papers in this collection do not answer this. Nothing is near."
    assert "Attention Is All You Need" in refused.to_markdown()
    assert "vaswani2017attention" in refused.to_bibtex()


def test_markdown_holds_quotes_and_references_and_no_live_markup() -> None:
    text = replace(ANSWER, sentences=(quote(OTHER, 1, 0, 45),), sources=(source(OTHER, 1, 1),)).to_markdown()
    assert "<img" not in text.replace("\\<img", "")
    assert "](http" not in text.replace("\\](http", "")
    assert "\\> " not in text.split("### References")[0].splitlines()[0]
    assert "1. **50% of \\{Graphs\\} & \\*Trees\\***" in text


def test_bibtex_has_one_entry_per_cited_paper_with_distinct_keys() -> None:
    twins = (source(PAPER, 1, 1), source(replace(PAPER, id="b"), 2, 2))
    entries = replace(ANSWER, sources=twins).to_bibtex()
    assert "@article{vaswani2017attention,\n" in entries
    assert "@article{vaswani2017attentiona,\n" in entries
    assert "  author = {Ashish Vaswani and Noam Shazeer},\n" in entries
    assert "eprint = {1706.03762}" in entries


def test_bibtex_escapes_what_latex_would_read() -> None:
    refused = Answer("q", "refused", nearest=(OTHER,), reason="")
    assert "title = {{50\\% of Graphs \\& *Trees*}}" in refused.to_bibtex()


def test_json_round_trip_is_exact() -> None:
    assert Answer.from_dict(json.loads(json.dumps(ANSWER.to_dict()))) == ANSWER


@pytest.mark.parametrize("damage", [{"schema_version": 99}, {"sentences": [{"text": "x"}]}, {"sources": None}])
def test_a_foreign_form_is_refused(damage: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"schema_version|not an answer"):
        Answer.from_dict({**ANSWER.to_dict(), **damage})


def test_timings_do_not_make_answers_differ() -> None:
    assert replace(ANSWER, trace=replace(ANSWER.trace, timings_ms={})) == ANSWER


@given(st.text(min_size=1), st.floats(0, 1))
def test_any_text_survives_the_round_trip(text: str, support: float) -> None:
    sentence = AnswerSentence(text, support, (Citation(1, "id", text, 0, len(text), support),), label=text)
    answer = Answer(text, "partial", (sentence,), reason=text)
    assert Answer.from_dict(answer.to_dict()) == answer
