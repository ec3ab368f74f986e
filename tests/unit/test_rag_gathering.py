"""From readings to an order of papers and sentences: worked out by hand, with readings that are made up."""

import numpy as np
import pytest

from index.embedding.encoder import Vectors
from index.paper import Paper
from index.rows import StoredPaper
from index.sentences import sentence_spans
from rag.answer import AnswerSentence, Source
from rag.answering.evidence_answerer import compose
from rag.answering.selection import Selection, select
from rag.citations import Markers
from rag.evidence.gathering import gather, gather_parts
from rag.evidence.reader import PaperEvidence, Reading, probability
from rag.question import Form
from rag.reranking import read, rerank
from rag.retrieval import Hit, Query

APART = np.eye(8, dtype=np.float32)


def hit(title: str, abstract: str, fused: float = 1.0, vectors: Vectors = APART) -> Hit:
    paper = Paper.create(title, abstract)
    spans = tuple(sentence_spans(paper.abstract))
    stored = StoredPaper(paper, spans, vectors[: len(spans)], vectors[:1], frozenset())
    return Hit(Source(paper, 1, fused, 0.5, 0.5, 0.5, 1, 1), stored, fused)


def reading(evidence: list[float], answerable: float = 0.0, relevant: float = 0.0) -> Reading:
    scores = np.array(evidence, dtype=np.float32)
    return Reading(scores, scores, answerable, 0.0, relevant)


class Scripted:
    """A reader that says what it is told to say, by the question."""

    def __init__(self, **said: Reading) -> None:
        self.said = said

    def judge(self, query: Query, papers: list[StoredPaper]) -> list[Reading]:
        return [self.said[query.text] for _ in papers]


def query(text: str) -> Query:
    return Query(text, APART[0], (), {})


def texts(sentences: list[AnswerSentence]) -> list[str]:
    return [sentence.text for sentence in sentences]


def test_what_says_the_same_comes_later() -> None:
    twice = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0]], dtype=np.float32)
    found = hit("T: x", "It is very fast indeed. It is truly fast indeed. It needs little memory.", vectors=twice)
    (evidence,) = gather(query("T?"), [(found, reading([3.0, 2.5, 1.0]))], Form.SINGLE)
    assert evidence.order == (0, 2, 1)  # 2.5 loses 2 for saying the first one again


def test_a_paper_that_is_not_named_is_introduced() -> None:
    found = hit("Fastnet: nets", "Speed matters a lot today. We propose a very fast net. It runs at 90 fps.")
    scores = reading([0.0, 0.5, 1.0])
    (unnamed,) = gather(query("how fast are nets?"), [(found, scores)], Form.SINGLE)
    (named,) = gather(query("how fast is Fastnet?"), [(found, scores)], Form.SINGLE)
    (later,) = gather(query("how fast is it?"), [(found, scores)], Form.SINGLE, alone=False)
    assert unnamed.order[0] == 1
    assert named.order[0] == later.order[0] == 2


def test_each_part_of_a_question_gets_its_sentence() -> None:
    found = hit("T: x", "It is very fast indeed. It needs little memory. It is on sale.")
    (evidence,) = gather(query("whole"), [(found, reading([2.0, -3.0, -3.0]))], Form.SINGLE)
    reader = Scripted(
        fast=reading([3.0, -4.0, -4.0], answerable=2.0),
        memory=reading([-4.0, 2.5, -4.0], answerable=1.0),
        price=reading([-4.0, -4.0, -1.0], answerable=-2.5),
        **{"and its price": reading([-4.0, -4.0, -1.0], answerable=-2.5)},
    )
    joined, lacking = gather_parts(evidence, [query("fast"), query("memory")], reader)
    assert joined.order[:2] == (0, 1)
    assert joined.scores.tolist() == pytest.approx([3.0, 2.5, -3.0])
    assert lacking == []
    _, lacking = gather_parts(evidence, [query("fast"), query("price")], reader)
    assert lacking == ["price"]
    _, lacking = gather_parts(evidence, [query("fast"), query("and its price")], reader)
    assert lacking == []  # what "its" stands for is not in it
    _, lacking = gather_parts(evidence, [query("price"), query("price")], reader)
    assert lacking == []  # the whole question was judged answerable: that stands


def test_the_reader_moves_what_search_had_close_together() -> None:
    first, second, third = hit("A", "One.", 1.4), hit("B", "Two.", 1.3), hit("C", "Three.", 1.2)
    reader = Scripted(q=reading([0.0]))
    found = read(reader, query("q"), [first, second, third], 2)
    assert [h.source.evidence_score for h, _ in found] == [0.5, 0.5]
    told = [(first, reading([0.0], answerable=-2.0, relevant=0.0)), (second, reading([0.0], 2.0, 2.0))]
    hits, found = rerank(told, [third])
    gains = [2.5 * probability(0.0) + 0.2 * probability(-2.0), 2.5 * probability(2.0) + 0.2 * probability(2.0)]
    assert [h.source.paper.title for h in hits] == ["B", "A", "C"]
    assert [h.source.rank for h in hits] == [1, 2, 3]
    assert [h.source.score for h in hits] == pytest.approx([1.3 + gains[1], 1.4 + gains[0], 1.2 + gains[0]], abs=1e-5)
    assert [h.fused for h, _ in found] == [1.3, 1.4]
    assert found[0][0] == hits[0]


def test_a_list_holds_the_papers_near_the_best_one() -> None:
    given = [
        (hit("A", "One sentence is here.", 1.5), reading([0.0], relevant=2.0)),  # 1.9, of which 70 % is 1.33
        (hit("B", "Two sentences are here.", 1.35), reading([0.0], relevant=0.0)),  # 1.35
        (hit("C", "Three sentences are here.", 1.35), reading([0.0], relevant=-0.5)),  # 1.25
        (hit("D", "Four sentences are here.", 1.0), reading([0.0], relevant=2.0)),  # 1.4
        (hit("E", "Five sentences are here.", 1.35), reading([0.0], answerable=-2.0)),  # 1.29
    ]
    chosen = select(Form.LIST, query("papers?"), gather(query("papers?"), given, Form.LIST), 8)
    assert [evidence.hit.source.paper.title for evidence in chosen.papers] == ["A", "B", "D"]


def block(abstract: str, evidence: list[float], max_words: int = 60, max_sentences: int = 3) -> list[str]:
    found = hit("T: x", abstract)
    gathered = gather(query("T?"), [(found, reading(evidence))], Form.SINGLE)
    selection = Selection(Form.SINGLE, tuple(gathered))
    return texts(compose("T?", selection, Markers(), max_words, max_sentences))


ABSTRACT = "The net has few weights. It runs on any phone. Training takes two days. It is described below."


def test_sentences_are_added_while_they_are_worth_it() -> None:
    assert block(ABSTRACT, [3.0, -6.0, -6.0, -6.0]) == ["The net has few weights."]
    assert block(ABSTRACT, [3.0, -6.0, 2.0, -6.0]) == ["The net has few weights.", "Training takes two days."]
    assert block(ABSTRACT, [3.0, -6.0, 2.0, -6.0], max_sentences=1) == ["The net has few weights."]
    assert block(ABSTRACT, [3.0, -6.0, 2.0, -6.0], max_words=8) == ["The net has few weights."]


def test_a_pronoun_brings_the_sentence_before_it_along() -> None:
    assert block(ABSTRACT, [-6.0, 3.0, -6.0, -6.0]) == ["The net has few weights.", "It runs on any phone."]
    assert block(ABSTRACT, [-6.0, 3.0, -6.0, -6.0], max_words=6) == ["It runs on any phone."]  # no room
    assert block("It runs on any phone. Training is slow.", [3.0, -6.0]) == ["It runs on any phone."]  # none before


def test_the_best_sentence_is_given_whatever_its_length() -> None:
    assert block(ABSTRACT, [3.0, -6.0, -6.0, -6.0], max_words=1) == ["The net has few weights."]


def test_what_answers_is_marked() -> None:
    found = hit("T: x", "It needs 12 hours.")
    evidence: list[PaperEvidence] = gather(query("T?"), [(found, reading([3.0]))], Form.SINGLE)
    (sentence,) = compose("how many hours?", Selection(Form.SINGLE, tuple(evidence)), Markers(), 60, 3)
    assert sentence.highlight is not None
    assert sentence.text[slice(*sentence.highlight)] == "12 hours"
