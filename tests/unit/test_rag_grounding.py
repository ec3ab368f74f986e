"""A model's sentences are kept only where an abstract supports them, numbers and names included."""

import pytest
from fakes import HashEncoder

from index.database import StoredPaper
from index.embedding.encoder import PassageText
from index.paper import Paper
from index.sentences import sentence_spans
from rag.answer import AnswerSentence, DroppedSentence, Source
from rag.citations import Markers, cite
from rag.evidence.similarity import SimilarityReader
from rag.grounding import ground, split_model_text
from rag.question import Form
from rag.retrieval import Hit, Query

ENCODER = HashEncoder()


def hit(title: str, abstract: str) -> Hit:
    paper = Paper.create(title, abstract)
    spans = tuple(sentence_spans(paper.abstract))
    vectors = ENCODER.embed_passages([PassageText(paper.title, paper.abstract, spans)])[0]
    stored = StoredPaper(paper, spans, vectors.sentences, vectors.passage[None])
    return Hit(Source(paper, 1, 1.0, 0.5, 0.5, 0.5, 1, 1), stored)


def query(text: str, **weights: float) -> Query:
    return Query(text, ENCODER.embed_queries([text])[0], tuple(weights), weights)


HITS = [
    hit("SqueezeNet", "We squeeze filters. SqueezeNet runs 4.3x faster than BERT on the Pixel 3. Code is public."),
    hit("Other", "Pruning removes weights. SqueezeNet runs slower than expected."),
]
EVIDENCE = SimilarityReader().read(query("squeeze"), HITS, Form.SINGLE)


def test_a_faithful_sentence_cites_its_source_by_exact_span() -> None:
    markers = Markers()
    result = ground("SqueezeNet runs 4.3x faster than BERT on the Pixel 3 [1].", EVIDENCE, ENCODER, markers)
    assert isinstance(result, AnswerSentence)
    assert result.text == "SqueezeNet runs 4.3x faster than BERT on the Pixel 3."
    (citation,) = result.citations
    assert citation.quote == "SqueezeNet runs 4.3x faster than BERT on the Pixel 3."
    assert citation.marker == 1
    assert result.support == citation.support > 0.9


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("SqueezeNet runs 5.1x faster than BERT on the Pixel 3 [1].", "number 5.1"),
        ("SqueezeNet runs 4.3x faster than RoBERTa on the Pixel 3 [1].", "RoBERTa"),
        ("Cats are furry animals [1].", "no sentence"),
        ("[1]", "nothing that could be checked"),
        ("Yes.", "nothing that could be checked"),
    ],
)
def test_unfaithful_sentences_are_dropped_with_the_reason(sentence: str, reason: str) -> None:
    result = ground(sentence, EVIDENCE, ENCODER, Markers())
    assert isinstance(result, DroppedSentence)
    assert reason in result.reason


def test_a_wrong_marker_is_corrected() -> None:
    result = ground("Pruning removes weights [1].", EVIDENCE, ENCODER, markers := Markers())
    assert isinstance(result, AnswerSentence)
    assert markers.used == {HITS[1].source.paper.id: 1}


def test_thinking_and_list_bullets_are_not_sentences() -> None:
    text = "<think>Is it? Yes.</think>- It is fast [1].\n- It is small [2]."
    assert split_model_text(text) == ["It is fast [1].", "It is small [2]."]
    assert split_model_text("<think>not yet closed. ") == []


def test_markers_are_numbered_in_order_and_keep_what_was_taken() -> None:
    markers = Markers({"a": 1, "b": 2})
    assert [markers.number(i) for i in ("c", "b", "d", "c")] == [3, 2, 4, 3]
    assert markers.used == {"c": 3, "b": 2, "d": 4}


@pytest.mark.parametrize("span", [(-1, 3), (3, 3), (0, 10_000)])
def test_a_span_outside_the_abstract_is_never_cited(span: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="outside the abstract"):
        cite(HITS[0].source.paper, span, Markers(), 1.0)


def test_the_reader_prefers_the_words_that_are_not_in_the_title() -> None:
    found = hit("Token mixers", "Token mixers are costly. Accuracy is kept by training.")
    (evidence,) = SimilarityReader().read(
        query("token mixers accuracy kept", token=1.0, mixer=1.0, accuraci=1.0, kept=1.0), [found], Form.SINGLE
    )
    assert evidence.order[0] == 1


def test_the_reader_scores_are_the_formula() -> None:
    found = hit("T", "Alpha beta gamma. Delta epsilon.")
    asked = query("alpha delta", alpha=3.0, delta=1.0)
    (evidence,) = SimilarityReader().read(asked, [found], Form.SINGLE)
    cosines = found.stored.sentence_vectors @ asked.vector
    assert evidence.scores.tolist() == pytest.approx([cosines[0] + 0.5 * 0.75, cosines[1] + 0.5 * 0.25], abs=1e-6)


def test_both_parts_of_a_question_get_their_sentence() -> None:
    found = hit("T", "Alpha alpha speed. Alpha speed again. Beta memory.")
    weights = {"alpha": 1.0, "speed": 1.0, "beta": 1.0, "memori": 1.0}
    (evidence,) = SimilarityReader().read(query("alpha speed and beta memory", **weights), [found], Form.SINGLE)
    assert 2 in evidence.order[:2]


def test_a_list_line_says_what_its_paper_does_and_code_links_come_last() -> None:
    abstract = "Images matter. We propose a network for images. Code for images: https://x.org/images."
    (evidence,) = SimilarityReader().read(query("images", imag=1.0), [hit("T", abstract)], Form.LIST)
    assert evidence.order[0] == 1
    assert evidence.order[-1] == 2
    (asked,) = SimilarityReader().read(query("code for images", code=1.0, imag=1.0), [hit("T", abstract)], Form.SINGLE)
    assert asked.order[0] == 2
