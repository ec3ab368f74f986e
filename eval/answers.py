"""Ask every question of a dataset and gather the scores as a run. Does not read or write files, or print."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Protocol

from pydantic import JsonValue

from index.paper import Paper
from rag.answer import Answer

from .dataset import Question
from .gold import Gold, locate_gold
from .metrics import bad_quotes, plain_text, score_answer, uncited_sentences, word_count
from .refusals import REFUSAL_MEASURES, answerability_scores, refusal_curve, refusal_histogram
from .run import Bars, Dataset, Plot, Row, Run
from .summary import LATENCY, Definition, percentile_of, summarise

COMMAND = "answers"
WARM_UP = "What are these papers about?"


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


def run_answers(
    qa: Answerer,
    questions: Sequence[Question],
    dataset: Dataset,
    settings: Mapping[str, JsonValue],
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Ask each question with its history, one after the other, and score the answers.

    One question of no dataset is asked first and not timed, so that loading models is not counted.

    Args:
        qa: An open collection.
        questions: At least one.
        dataset: Where they come from.
        settings: The settings of the run, for the record.
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
    threshold = qa.ask(WARM_UP).trace.threshold
    rows = []
    for question, gold in zip(questions, golds, strict=True):
        rows.append(_row(qa, question, gold, titles))
        report_progress(len(rows), len(questions))
    return summarise(COMMAND, dataset, settings, DEFINITIONS, rows, _plots(rows, threshold))


def _row(qa: Answerer, question: Question, gold: Gold, titles: Mapping[str, str]) -> Row:
    history = [{"role": turn.role, "content": turn.content} for turn in question.history]
    started = time.perf_counter()
    answer = qa.ask(question.question, history=history or None)
    latency_ms = 1000 * (time.perf_counter() - started)
    cited = dict.fromkeys(c.paper_id for sentence in answer.sentences for c in sentence.citations)
    refused = float(answer.status == "refused")
    return Row(
        id=question.id,
        group=question.kind,
        text=question.question,
        scores={
            **asdict(score_answer(answer, question, gold)),
            "refused_answerable": refused if question.answerable else None,
            "refused_unanswerable": None if question.answerable else refused,
            "words": float(word_count(plain_text(answer))) or None,
            "latency_ms": latency_ms,
        },
        details={
            "status": answer.status,
            "answer": answer.text,
            "cited": [titles.get(paper_id, paper_id) for paper_id in cited],
            "answerability": answer.trace.answerability,
            "bad_quotes": bad_quotes(answer, qa.paper),
            "uncited_sentences": uncited_sentences(answer),
        },
    )


def _total_of(name: str) -> Callable[[Sequence[Row]], float]:
    return lambda rows: sum(_number(row, name) for row in rows)


def _number(row: Row, name: str) -> float:
    value = row.details[name]
    assert isinstance(value, (int, float))
    return value


DEFINITIONS = (
    Definition(name="gold_first", label="gold paper cited first", column="gold 1st", yes_or_no=True),
    Definition(name="paper_precision", label="paper precision", column="paper P"),
    Definition(name="paper_recall", label="paper recall", column="paper R"),
    Definition(name="sentence_precision", label="sentence precision", column="sent P"),
    Definition(name="sentence_recall", label="sentence recall", column="sent R"),
    Definition(name="key_facts", label="key facts", column="facts"),
    *REFUSAL_MEASURES,
    Definition(name="words", label="words, mean", unit="words", higher_is_better=None),
    Definition(
        name="median_words",
        label="words, median",
        column="words",
        unit="words",
        higher_is_better=None,
        over=percentile_of("words", 50),
    ),
    *LATENCY,
    Definition(
        name="bad_quotes",
        label="quotes that are not exact",
        column="bad",
        unit="quotes",
        higher_is_better=False,
        over=_total_of("bad_quotes"),
    ),
    Definition(
        name="uncited_sentences",
        label="sentences without a citation",
        column="uncited",
        unit="sentences",
        higher_is_better=False,
        over=_total_of("uncited_sentences"),
    ),
)
"""What is measured of answers. Scores of single answers are defined in :mod:`eval.metrics`."""


def _plots(rows: Sequence[Row], threshold: float) -> list[Plot]:
    bars = (d.name for d in DEFINITIONS[:6] if any(row.scores[d.name] is not None for row in rows))
    answerable, unanswerable = answerability_scores(rows)
    if not answerable or not unanswerable:
        return [Bars(name) for name in bars]
    return [
        *(Bars(name) for name in bars),
        refusal_histogram(answerable, unanswerable, threshold),
        refusal_curve(answerable, unanswerable, threshold),
    ]
