"""How answers and papers look in a terminal."""

from dataclasses import replace

from index.paper import Paper
from rag.answer import Answer, AnswerSentence, Citation, DroppedSentence, Source, Trace
from ui.cli.layout import lay_out_answer, lay_out_hits, lay_out_sources, reference, wrapped

FIRST = Paper(
    id="arxiv:2304.05659",
    title="RIFormer: Keep Your Vision Backbone Effective",
    abstract="It removes token mixers. It is fast.",
    authors=("Jiahao Wang", "Songyang Zhang", "Yong Liu", "Taiqiang Wu"),
    year=2023,
    venue="CVPR",
)
SECOND = Paper(id="title:0123456789abcdef", title="Why?", abstract="Because.")


def source(paper, rank, marker=None):
    return Source(
        paper=paper,
        rank=rank,
        score=2.5 / rank,
        dense_score=0.5,
        sentence_score=0.5,
        keyword_score=0.5,
        dense_rank=rank,
        keyword_rank=None,
        marker=marker,
    )


def cite(marker, paper, quote):
    start = paper.abstract.index(quote)
    return Citation(marker, paper.id, quote, start, start + len(quote), 0.9)


ANSWER = Answer(
    question="Which?",
    status="answered",
    sentences=(
        AnswerSentence("It is fast.", 0.9, (cite(1, FIRST, "It is fast."),)),
        AnswerSentence("RIFormer removes token mixers.", 0.9, (cite(1, FIRST, "It removes token mixers."),)),
        AnswerSentence("Because.", 0.9, (cite(2, SECOND, "Because."),)),
    ),
    sources=(source(FIRST, 1, marker=1), source(SECOND, 2, marker=2)),
)


def test_an_answer_with_its_sources_and_quotes():
    assert (
        lay_out_answer(ANSWER)
        == """\
It is fast [1]. RIFormer removes token mixers [1]. Because [2].

Sources:
[1] RIFormer: Keep Your Vision Backbone Effective. Jiahao Wang, Songyang Zhang, Yong Liu et al. CVPR, 2023. \
<arxiv:2304.05659>
    “It removes token mixers.”
    “It is fast.”
[2] Why? <title:0123456789abcdef>
    “Because.”"""
    )


def test_lines_are_at_most_as_wide_as_the_terminal():
    lines = lay_out_answer(ANSWER, width=40).split("\n")
    assert max(len(line) for line in lines) <= 40
    assert "".join(lay_out_answer(ANSWER, width=40).split()) == "".join(lay_out_answer(ANSWER).split())


def test_a_quote_used_twice_is_shown_once():
    twice = replace(ANSWER, sentences=ANSWER.sentences[:1] * 2)
    assert lay_out_sources(twice).count("It is fast.") == 1


def test_sources_without_quotes():
    assert "“" not in lay_out_sources(ANSWER, quotes=False)


def test_a_refusal_lists_the_nearest_papers():
    refused = Answer("Which?", "refused", sources=(source(SECOND, 1),), nearest=(SECOND,), reason="Nothing is near.")
    assert (
        lay_out_answer(refused)
        == """\
The papers in this collection do not answer this. Nothing is near.

Nearest papers:
- Why? <title:0123456789abcdef>"""
    )


def test_a_partial_answer_says_why_and_what_was_left_out():
    partial = replace(
        ANSWER,
        status="partial",
        reason="Stopped.",
        dropped=(DroppedSentence("It is blue.", "no abstract says so", 0.1),),
    )
    text = lay_out_answer(partial)
    assert "\n\n(Stopped.)\n\nLeft out:\n- It is blue. (no abstract says so)\n\nSources:" in text


def test_a_remark_that_is_the_reason_is_shown_once():
    reason = "The model failed before the end: it is tired."
    failed = replace(ANSWER, status="partial", reason=reason, trace=Trace(notes=("Given 1 of 5 papers.", reason)))
    assert lay_out_answer(failed).count("tired") == 1
    assert "(Given 1 of 5 papers.)" in lay_out_answer(failed)


def test_an_answer_that_cites_nothing():
    said = (AnswerSentence("It is blue.", 0.1, (), unsupported="no abstract says so"), AnswerSentence("Ok.", 0.1, ()))
    assert lay_out_answer(Answer("Which?", "answered", said)) == "It is blue (no source). Ok."


def test_search_results():
    assert (
        lay_out_hits([source(FIRST, 1), source(SECOND, 2)], width=60)
        == """\
1.  2.50 RIFormer: Keep Your Vision Backbone Effective.
         Jiahao Wang, Songyang Zhang, Yong Liu et al. CVPR,
         2023. <arxiv:2304.05659>
2.  1.25 Why? <title:0123456789abcdef>"""
    )


def test_a_reference_of_a_bare_paper():
    assert reference(SECOND) == "Why? <title:0123456789abcdef>"


def test_a_long_word_is_not_broken():
    assert wrapped("see https://example.org/a-very-long-address now", 12) == (
        "see\nhttps://example.org/a-very-long-address\nnow"
    )
