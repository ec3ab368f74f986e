"""The fused score against a hand-worked reference, and the refusal decision built on it."""

import math
from pathlib import Path

import numpy as np
import pytest
from fakes import HashEncoder, read_all

from index.paper import Paper
from index.store import PaperStore
from index.terms import document_terms, question_terms
from rag import refusal
from rag.answering.selection import select
from rag.names import Name
from rag.question import Form
from rag.refusal import answerability
from rag.retrieval import Retriever

PAPERS = [
    Paper.create("Token mixers", "We remove token mixers. Accuracy is kept."),
    Paper.create("Graph search", "Graphs are searched. Search is slow on graphs."),
    Paper.create("Audio codec", "Audio is compressed. Forty tokens are enough."),
    Paper.create("Routing", "Packets are routed. Latency matters."),
]
QUESTION = "How is accuracy kept without token mixers?"


@pytest.fixture
def store(tmp_path: Path) -> PaperStore:
    store = PaperStore.open(tmp_path / "papers.idx", HashEncoder(), create=True)
    store.add(PAPERS)
    return store


def test_scores_equal_the_formula_over_the_whole_collection(store: PaperStore) -> None:
    retrieval = Retriever(store).retrieve([(QUESTION, 1.0)], 4)
    encoder = HashEncoder()
    vector = encoder.embed_queries([QUESTION])[0]
    asked = question_terms(QUESTION)
    texts = [f"{p.title}\n{p.abstract}" for p in PAPERS]
    counts = {t: sum(t in document_terms(text) for text in texts) for t in asked}
    rarity = {t: math.log(1 + (4 - n + 0.5) / (n + 0.5)) for t, n in counts.items()}
    expected = {}
    for paper, text in zip(PAPERS, texts, strict=True):
        spans = [(0, paper.abstract.index(".") + 1), (paper.abstract.index(".") + 2, len(paper.abstract))]
        sentences = encoder.embed_queries([paper.abstract[start:end] for start, end in spans])
        dense = float(encoder.embed_queries([text])[0] @ vector)
        coverage = sum(rarity[t] for t in asked if t in document_terms(text)) / sum(rarity.values())
        expected[paper.id] = dense + 0.8 * float(np.max(sentences @ vector)) + 0.9 * coverage
    found = {hit.source.paper.id: hit.source.score for hit in retrieval.hits}
    assert found == pytest.approx(expected, abs=2e-3)  # vectors are stored in half precision
    assert [h.source.paper.id for h in retrieval.hits] == sorted(expected, key=lambda i: -expected[i])
    assert retrieval.hits[0].source.dense_rank == retrieval.hits[0].source.keyword_rank == 1


def test_two_wordings_are_weighted(store: PaperStore) -> None:
    retriever = Retriever(store)
    first = {h.source.paper.id: h.source.score for h in retriever.retrieve([("token mixers", 1.0)], 4).hits}
    second = {h.source.paper.id: h.source.score for h in retriever.retrieve([("audio tokens", 1.0)], 4).hits}
    both = retriever.retrieve([("token mixers", 0.25), ("audio tokens", 0.75)], 4)
    for hit in both.hits:
        expected = 0.25 * first[hit.source.paper.id] + 0.75 * second[hit.source.paper.id]
        assert hit.source.score == pytest.approx(expected, abs=1e-5)


def test_answerability_is_the_logistic_formula(store: PaperStore) -> None:
    retrieval = Retriever(store).retrieve([(QUESTION, 1.0)], 1)
    evidence = read_all(retrieval.query, retrieval.hits, Form.SINGLE)
    source = retrieval.hits[0].source
    asked = len(question_terms(QUESTION))
    linear = (
        refusal.ANSWERABLE_WEIGHT * evidence[0].reading.answerable
        + refusal.SENTENCE_WEIGHT * source.sentence_score
        + refusal.COVERAGE_WEIGHT * source.keyword_score
        + refusal.TERM_WEIGHT * asked
        + refusal.BIAS
    )
    verdict = answerability(retrieval.query, [], evidence, Form.SINGLE)
    assert verdict.score == pytest.approx(1 / (1 + math.exp(-linear)), abs=1e-4)
    names = [Name("GOT-10k", 1.0), Name("mixers", 1.0), Name("AO", 0.3)]
    lower = answerability(retrieval.query, names, evidence, Form.SINGLE)
    assert lower.score == pytest.approx(1 / (1 + math.exp(-(linear + 1.3 * refusal.MISSING_NAME_WEIGHT))), abs=1e-4)
    assert lower.missing == (names[0], names[2])
    assert lower.reason() == lower.gap() == "The nearest paper, Token mixers, does not mention “GOT-10k”."


def test_what_is_counted_must_be_mentioned(store: PaperStore) -> None:
    for question, missing in (("How many tokens are enough for audio?", []), ("How many days of audio?", ["days"])):
        retrieval = Retriever(store).retrieve([(question, 1.0)], 1)
        evidence = read_all(retrieval.query, retrieval.hits, Form.SINGLE)
        assert [name.text for name in answerability(retrieval.query, [], evidence, Form.SINGLE).missing] == missing


def test_a_follow_up_is_judged_by_its_own_words(store: PaperStore) -> None:
    retriever = Retriever(store)
    for question, answered in (
        ("how does it work?", True),
        ("is accuracy kept?", True),
        ("is it good with cheese?", False),
    ):
        retrieval = retriever.retrieve([(question, 0.2), (f"{question} We remove token mixers.", 0.8)], 1)
        evidence = read_all(retrieval.query, retrieval.hits, Form.SINGLE)
        assert (answerability(retrieval.query, [], evidence, Form.SINGLE, follow_up=True).score >= 0.5) is answered


def test_no_evidence_is_not_answerable(store: PaperStore) -> None:
    retrieval = Retriever(store).retrieve([(QUESTION, 1.0)], 1)
    assert answerability(retrieval.query, [], [], Form.SINGLE).score == 0.0


@pytest.mark.parametrize(
    ("question", "form", "titles"),
    [
        (QUESTION, Form.SINGLE, ["Token mixers"]),
        ("token mixers vs graph search", Form.COMPARISON, ["Token mixers", "Graph search"]),
        ("token mixers vs accuracy kept", Form.COMPARISON, ["Token mixers"]),
    ],
)
def test_an_answer_is_made_of_these_papers(store: PaperStore, question: str, form: Form, titles: list[str]) -> None:
    retrieval = Retriever(store).retrieve([(question, 1.0)], 4)
    evidence = read_all(retrieval.query, retrieval.hits, form)
    chosen = select(form, retrieval.query, evidence, 4)
    assert sorted(e.hit.source.paper.title for e in chosen.papers) == sorted(titles)
    assert chosen.form is (form if len(titles) > 1 else Form.SINGLE)


def test_a_mistyped_word_finds_what_was_meant(store: PaperStore, monkeypatch: pytest.MonkeyPatch) -> None:
    slips = ["pakcet", "accurraci", "acuraci", "zebras", "toknenn", "2packet", "grap"]
    assert store.respelled(slips) == {
        "pakcet": "packet",
        "accurraci": "accuraci",
        "acuraci": "accuraci",
    }  # "toknenn" is two slips from "token", and short words and those with digits are left
    monkeypatch.setattr(HashEncoder, "count_tokens", lambda self, texts: [1 + ("comprssed" in text) for text in texts])
    right = Retriever(store).retrieve([("compressed audio", 1.0)], 1)
    slip = Retriever(store).retrieve([("comprssed audio", 1.0)], 1)
    assert right.query.terms == slip.query.terms
    assert slip.hits[0].source.keyword_score == 1.0
    assert not slip.names  # a slip is not a name that the papers lack
    whole = Retriever(store).retrieve([("packed audio", 1.0)], 1)  # "packed" is a word of its own, not "packet"
    assert whole.query.terms == ("pack", "audio")


def test_what_is_far_from_every_word_is_left(store: PaperStore) -> None:
    query = Retriever(store).retrieve([("quantum audio", 1.0)], 1).query
    assert query.terms == ("quantum", "audio")
