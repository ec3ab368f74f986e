"""Ask every question of a dataset and gather the scores. Does not read or write files, or print."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from index.paper import Paper
from rag.answer import Answer

from .dataset import Question
from .estimates import Estimate, auroc, mean, percentile, rate
from .gold import Gold, locate_gold
from .metrics import Scores, bad_quotes, plain_text, score_answer, uncited_sentences, word_count

WARM_UP = "What are these papers about?"
OVERALL = "overall"


class Answerer(Protocol):
    """What is needed of :class:`rag.PaperQA` to measure it."""

    def ask(self, question: str, history: list[dict[str, str]] | None = None) -> Answer:
        """Answer one question."""
        ...

    def paper(self, paper_id: str, /) -> Paper:
        """Return a paper; KeyError if absent."""
        ...

    def papers(self) -> list[Paper]:
        """Return every paper of the collection."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one question.

    Attributes:
        id: Name of the question.
        kind: Its group.
        question: What was asked.
        answerable: Whether the collection answers it.
        status: "answered", "partial" or "refused".
        text: The answer as shown, with markers.
        cited: Titles of the papers cited, in order of first appearance.
        scores: The scores of the answer.
        words: Words of the answer without markers; 0 when refused.
        answerability: The score of the refusal decision, 0 to 1.
        latency_ms: From the question to the whole answer.
        bad_quotes: Citations that are not exact spans of an abstract.
        uncited_sentences: Sentences without a citation.
    """

    id: str
    kind: str
    question: str
    answerable: bool
    status: str
    text: str
    cited: tuple[str, ...]
    scores: Scores
    words: int
    answerability: float
    latency_ms: float
    bad_quotes: int
    uncited_sentences: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The rows of one kind, or of all, as one line. None where no row has the score.

    Attributes:
        name: The kind, or "overall".
        n: Number of questions.
        gold_first: Answers whose first citation is of a gold paper.
        paper_precision: Mean over answerable questions, refused ones counting 0; so for the next four.
        paper_recall: Mean share of the gold papers cited.
        sentence_precision: Mean share of the quotes that overlap gold evidence.
        sentence_recall: Mean share of the gold evidence quoted.
        key_facts: Mean share of the key facts told.
        refused_answerable: Share of answerable questions that were refused; lower is better.
        refused_unanswerable: Share of unanswerable questions that were refused; higher is better.
        auroc: How well the answerability score tells answerable from unanswerable questions.
        median_words: Median length of the answers that say something.
        latency_p50_ms: Median time per question.
        latency_p95_ms: 95th percentile of it.
        bad_quotes: Citations that are not exact spans, in total.
        uncited_sentences: Sentences without a citation, in total.
    """

    name: str
    n: int
    gold_first: Estimate | None
    paper_precision: Estimate | None
    paper_recall: Estimate | None
    sentence_precision: Estimate | None
    sentence_recall: Estimate | None
    key_facts: Estimate | None
    refused_answerable: Estimate | None
    refused_unanswerable: Estimate | None
    auroc: Estimate | None
    median_words: float | None
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    bad_quotes: int
    uncited_sentences: int


@dataclass(frozen=True, slots=True)
class AnswersReport:
    """What came of a dataset.

    Attributes:
        rows: One per question, in order.
        kinds: One summary per kind, in order of first appearance.
        overall: The summary of all rows.
    """

    rows: tuple[Row, ...]
    kinds: tuple[Summary, ...]
    overall: Summary


def run_answers(
    qa: Answerer, questions: Sequence[Question], progress: Callable[[int, int], None] | None = None
) -> AnswersReport:
    """Ask each question with its history, one after the other, and score the answers.

    One question of no dataset is asked first and not timed, so that loading models is not counted.

    Args:
        qa: An open collection.
        questions: At least one.
        progress: Called with (questions done, questions in all), first with 0.

    Raises:
        ValueError: If there are no questions.
        EvalDataError: If a gold title or evidence is not in the collection; nothing is asked then.
        GenerationError: If a language model fails; the run ends.
    """
    if not questions:
        raise ValueError("there are no questions to ask")
    report_progress = progress or (lambda done, total: None)
    papers = qa.papers()
    golds = locate_gold(questions, papers)
    titles = {paper.id: paper.title for paper in papers}
    report_progress(0, len(questions))
    qa.ask(WARM_UP)
    rows = []
    for question, gold in zip(questions, golds, strict=True):
        rows.append(_run(qa, question, gold, titles))
        report_progress(len(rows), len(questions))
    kinds = dict.fromkeys(row.kind for row in rows)
    return AnswersReport(
        rows=tuple(rows),
        kinds=tuple(summarise(kind, [row for row in rows if row.kind == kind]) for kind in kinds),
        overall=summarise(OVERALL, rows),
    )


def _run(qa: Answerer, question: Question, gold: Gold, titles: dict[str, str]) -> Row:
    history = [{"role": turn.role, "content": turn.content} for turn in question.history]
    started = time.perf_counter()
    answer = qa.ask(question.question, history=history or None)
    latency_ms = 1000 * (time.perf_counter() - started)
    cited = dict.fromkeys(c.paper_id for sentence in answer.sentences for c in sentence.citations)
    return Row(
        id=question.id,
        kind=question.kind,
        question=question.question,
        answerable=question.answerable,
        status=answer.status,
        text=answer.text,
        cited=tuple(titles.get(paper_id, paper_id) for paper_id in cited),
        scores=score_answer(answer, question, gold),
        words=word_count(plain_text(answer)),
        answerability=answer.trace.answerability,
        latency_ms=latency_ms,
        bad_quotes=bad_quotes(answer, qa.paper),
        uncited_sentences=uncited_sentences(answer),
    )


def summarise(name: str, rows: Sequence[Row]) -> Summary:
    """Return the rows as one line. The AUROC needs rows of both sorts; single kinds have none."""
    answerable = [row for row in rows if row.answerable]
    unanswerable = [row for row in rows if not row.answerable]
    latencies = [row.latency_ms for row in rows]
    return Summary(
        name=name,
        n=len(rows),
        gold_first=rate([score == 1.0 for score in _known(row.scores.gold_first for row in rows)]),
        paper_precision=mean(_known(row.scores.paper_precision for row in rows)),
        paper_recall=mean(_known(row.scores.paper_recall for row in rows)),
        sentence_precision=mean(_known(row.scores.sentence_precision for row in rows)),
        sentence_recall=mean(_known(row.scores.sentence_recall for row in rows)),
        key_facts=mean(_known(row.scores.key_facts for row in rows)),
        refused_answerable=rate([row.status == "refused" for row in answerable]),
        refused_unanswerable=rate([row.status == "refused" for row in unanswerable]),
        auroc=auroc([row.answerability for row in answerable], [row.answerability for row in unanswerable]),
        median_words=percentile([row.words for row in rows if row.words], 50),
        latency_p50_ms=percentile(latencies, 50),
        latency_p95_ms=percentile(latencies, 95),
        bad_quotes=sum(row.bad_quotes for row in rows),
        uncited_sentences=sum(row.uncited_sentences for row in rows),
    )


def _known(scores: Iterable[float | None]) -> list[float]:
    return [score for score in scores if score is not None]
