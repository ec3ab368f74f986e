"""A model's sentences are kept only where an abstract supports them, numbers and names included."""

import time
from dataclasses import replace
from typing import Any

import pytest
from fakes import HashEncoder, read_all

from index.bundled import bundled_papers
from index.embedding.encoder import PassageText
from index.paper import Paper
from index.rows import StoredPaper
from index.sentences import sentence_spans
from index.terms import document_terms
from rag.answer import AnswerSentence, DroppedSentence, Source
from rag.answering.sentence_stream import SentenceStream, WrittenSentence
from rag.citations import Markers, cite
from rag.evidence.reader import PaperEvidence, Reading
from rag.evidence.similarity import SimilarityReader
from rag.grounding import Grounded
from rag.grounding import ground as ground_written
from rag.question import Form
from rag.retrieval import Hit, Query

ENCODER = HashEncoder()
READER = SimilarityReader()


def hit(title: str, abstract: str) -> Hit:
    paper = Paper.create(title, abstract)
    spans = tuple(sentence_spans(paper.abstract))
    vectors = ENCODER.embed_passages([PassageText(paper.title, paper.abstract, spans)])[0]
    stored = StoredPaper(
        paper,
        spans,
        vectors.sentences,
        vectors.passage[None],
        frozenset(document_terms(paper.abstract)),
    )
    return Hit(Source(paper, 1, 1.0, 0.5, 0.5, 0.5, 1, 1), stored)


def query(text: str, **weights: float) -> Query:
    return Query(text, ENCODER.embed_queries([text])[0], tuple(weights), weights)


def sentences(text: str, papers: int = 5, piece: int = 7) -> list[WrittenSentence]:
    """Cut a whole answer that ended by itself into sentences."""
    stream = SentenceStream(papers)
    parts = [part for at in range(0, len(text), piece) for part in stream.feed(text[at : at + piece])]
    return [part for part in (*parts, *stream.end(cut=False)) if isinstance(part, WrittenSentence)]


def ground(sentence: str, evidence: list[PaperEvidence], reader: SimilarityReader, make: Any, markers: Markers) -> Any:
    """Ground one sentence; what is kept, without the verdict."""
    (written,) = sentences(sentence, len(evidence)) or [WrittenSentence(sentence, frozenset())]
    result = ground_written(written, [found.hit for found in evidence], reader, make, markers)
    return result.sentence if isinstance(result, Grounded) else result


HITS = [
    hit("SqueezeNet", "We squeeze filters. SqueezeNet runs 4.3x faster than BERT on the Pixel 3. Code is public."),
    hit("Other", "Pruning removes weights. SqueezeNet runs slower than expected."),
]
EVIDENCE = read_all(query("squeeze"), HITS, Form.SINGLE)


def test_a_faithful_sentence_cites_its_source_by_exact_span() -> None:
    markers = Markers()
    result = ground("SqueezeNet runs 4.3x faster than BERT on the Pixel 3 [1].", EVIDENCE, READER, query, markers)
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
    result = ground(sentence, EVIDENCE, READER, query, Markers())
    assert isinstance(result, DroppedSentence)
    assert reason in result.reason


def test_a_wrong_marker_is_corrected() -> None:
    result = ground("Pruning removes weights [1].", EVIDENCE, READER, query, markers := Markers())
    assert isinstance(result, AnswerSentence)
    assert markers.used == {HITS[1].source.paper.id: 1}


STUDY = read_all(
    query("study"),
    [
        hit(
            "FlowNet: Motion without Labels",
            "FlowNet was trained by Google on three public video collections. "
            "The training of FlowNet does not need motion labels. "
            "The accuracy of FlowNet on the Sintel benchmark rose by 1,200 points in 4 weeks.",
        )
    ],
    Form.SINGLE,
)


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("FlowNet was trained by Google on three public video collections.", ""),
        ("FlowNet was trained by Google on 3 public video collections.", ""),
        ("FlowNet was trained by Google on four public video collections.", "number four"),
        ("FlowNet was trained by Microsoft on three public video collections.", "mention Microsoft"),
        ("FlowNet was not trained by Google on three public video collections.", "“not”"),
        ("FlowNet was trained by Google on three public video collections (2023).", "number 2023"),
        ("The training of FlowNet does not need motion labels.", ""),
        ("The training of FlowNet doesn’t need motion labels.", ""),
        ("The training of FlowNet does without motion labels.", ""),
        ("The training of FlowNet needs no motion labels.", ""),
        ("The training of FlowNet does need motion labels.", "says “not”"),
        ("The training of FlowNet not only does need motion labels.", "says “not”"),
        ("The accuracy of FlowNet on the Sintel benchmark rose by 1200 points in four weeks.", ""),
        ("The accuracy of FlowNet on the Sintel benchmark rose by 1,200 points in five weeks.", "number five"),
        ("The accuracy of FlowNet on the Sintel benchmark never rose by 1200 points in 4 weeks.", "“never”"),
        ("The accuracy of FlowNet on the Kitti benchmark rose by 1200 points in 4 weeks.", "mention Kitti"),
    ],
)
def test_numbers_names_and_negation_have_to_agree(sentence: str, reason: str) -> None:
    result = ground(f"{sentence} [1]", STUDY, READER, query, Markers())
    given = result.reason if isinstance(result, DroppedSentence) else ""
    assert reason in given
    assert bool(reason) == bool(given)


def test_what_a_paper_says_supports_itself() -> None:
    for paper in list(bundled_papers())[:100]:
        found = hit(paper.title, paper.abstract)
        evidence = read_all(query("x"), [found], Form.SINGLE)
        for start, end in found.stored.sentences:
            sentence = paper.abstract[start:end]
            result = ground(sentence, evidence, READER, query, Markers())
            assert isinstance(result, AnswerSentence) or len(sentence) < 20, (sentence, result)


def test_one_is_a_number_only_where_it_counts() -> None:
    (evidence,) = read_all(query("codec"), [hit("C", "The audio codec needs few tokens.")], Form.SINGLE)
    kept = ground("One of the audio codec needs few tokens.", [evidence], READER, query, Markers())
    counted = ground("The audio codec needs few tokens for one second.", [evidence], READER, query, Markers())
    assert isinstance(kept, AnswerSentence)
    assert isinstance(counted, DroppedSentence)
    assert "number one" in counted.reason


def test_a_second_quote_that_says_no_is_not_cited() -> None:
    abstract = "The pruned model keeps accuracy high. The pruned model keeps no accuracy high."
    (evidence,) = read_all(query("model"), [hit("P", abstract)], Form.SINGLE)
    result = ground("The pruned model keeps accuracy high.", [evidence], READER, query, Markers())
    assert isinstance(result, AnswerSentence)
    assert [citation.quote for citation in result.citations] == ["The pruned model keeps accuracy high."]


@pytest.mark.parametrize("marker", ["[2]", "[1-2]", "[1, 2]", "[[2]]", "【2†source】", "[Paper 2]", "[2-99999999]"])
def test_every_form_of_marker_is_a_hint(marker: str) -> None:
    twins = [hit("First", "Pruning removes many weights."), hit("Second", "Pruning removes many weights.")]
    evidence = read_all(query("pruning"), twins, Form.SINGLE)[:2]
    result = ground(f"Pruning removes many weights {marker}.", evidence, READER, query, Markers())
    assert isinstance(result, AnswerSentence)
    assert result.text == "Pruning removes many weights."
    named_first = marker in ("[1-2]", "[1, 2]")
    assert result.citations[0].paper_id == evidence[0 if named_first else 1].hit.source.paper.id


def test_long_blanks_take_no_time() -> None:
    began = time.perf_counter()
    ground("Pruning" + " " * 100_000 + "removes" + "\t" * 100_000 + "weights .", EVIDENCE, READER, query, Markers())
    sentences("It is fast" + " " * 100_000 + "[" + "\n" * 100_000, piece=10_000)
    assert time.perf_counter() - began < 5


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
    (evidence,) = read_all(
        query("token mixers accuracy kept", token=1.0, mixer=1.0, accuraci=1.0, kept=1.0), [found], Form.SINGLE
    )
    assert evidence.order[0] == 1


def test_the_reader_scores_are_the_formula() -> None:
    found = hit("T", "Alpha beta gamma zeta. Delta epsilon eta theta.")
    asked = query("alpha delta", alpha=3.0, delta=1.0)
    (reading,) = READER.judge(asked, [found.stored])
    cosines = found.stored.sentence_vectors @ asked.vector
    expected = [9 * (cosines[0] + 0.5 * 0.75 - 0.75), 9 * (cosines[1] + 0.5 * 0.25 - 0.75)]
    assert reading.evidence.tolist() == pytest.approx(expected, abs=1e-5)
    assert reading.answerable == pytest.approx(max(expected), abs=1e-5)


def test_both_parts_of_a_question_get_their_sentence() -> None:
    found = hit("T", "Alpha alpha speed. Alpha speed again. Beta memory.")
    weights = {"alpha": 1.0, "speed": 1.0, "beta": 1.0, "memori": 1.0}
    (evidence,) = read_all(query("alpha speed and beta memory", **weights), [found], Form.SINGLE)
    assert 2 in evidence.order[:2]


def test_a_list_line_says_what_its_paper_does_and_code_links_come_last() -> None:
    abstract = "Images matter. We propose a network for images. Code for images: https://x.org/images."
    (evidence,) = read_all(query("images", imag=1.0), [hit("T", abstract)], Form.LIST)
    assert evidence.order[0] == 1
    assert evidence.order[-1] == 2
    (asked,) = read_all(query("code for images", code=1.0, imag=1.0), [hit("T", abstract)], Form.SINGLE)
    assert asked.order[0] == 2


class Doubting(SimilarityReader):
    """A reader that finds no support anywhere."""

    def judge(self, query: Query, papers: Any) -> list[Reading]:
        return [replace(reading, support=reading.support * 0 - 9) for reading in super().judge(query, papers)]


NAMED = read_all(
    query("mixers"),
    [
        hit(
            "RIFormer: A Vision Backbone While Removing Token Mixers",
            "Code for RIFormer token mixers: https://x.org/riformer. We study a backbone. It is small.",
        )
    ],
    Form.SINGLE,
)


@pytest.mark.parametrize("text", ["RIFormer removes the token mixers.", "The paper is called RIFormer."])
def test_what_a_title_says_is_kept_whatever_the_reader_makes_of_it(text: str) -> None:
    result = ground(text, NAMED, Doubting(), query, Markers())
    assert isinstance(result, AnswerSentence)
    assert "https" not in result.citations[0].quote  # where the code is supports nothing


@pytest.mark.parametrize(
    "text", ["RIFormer removes the attention.", "Token mixers are removed.", "RIFormer does not remove token mixers."]
)
def test_a_title_supports_no_more_than_it_says_and_only_of_its_paper(text: str) -> None:
    assert isinstance(ground(text, NAMED, Doubting(), query, Markers()), DroppedSentence)
