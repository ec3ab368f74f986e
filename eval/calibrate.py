"""Choose the threshold below which questions are refused, for a wanted share of false refusals. Stores nothing.

The threshold is the highest at which no more than that share of *new* answerable questions is refused on average, so
that as many unanswerable ones are refused as the wanted share allows. It comes from questions that people wrote, if
there are some, else from probes (:mod:`eval.probes`), each asked with its paper in the collection and without it.

Probes have the words of their paper, and score higher than people's questions would. Their threshold would be too high,
and refuse too many of the real questions: so it may lower the default and never raise it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

import numpy as np
from pydantic import JsonValue

from index.errors import EvalDataError
from rag.pipeline import Pipeline
from rag.settings import RefusalSettings

from .answers import Answerer
from .dataset import Question
from .estimates import Estimate, rate
from .gold import locate_gold
from .left_out import StoreWithout
from .probe import ask
from .probes import Kind, Probe
from .refusals import REFUSAL_MEASURES, answerability_scores, refusal_curve, refusal_histogram
from .report import aligned
from .run import Curves, Dataset, Line, Plot, Row, Run
from .summary import Definition, summarise

COMMAND = "calibrate"
TARGETS = (0.01, 0.02, 0.05, 0.10)
"""Shares of false refusals that a report shows the thresholds of."""
MOST_FROM_PROBES = RefusalSettings().threshold
"""The highest threshold that probes alone can give: the default."""
SHOWN_SCORES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Scores of which a report tells how many questions are answerable."""


def threshold_for(answerable: Sequence[float], target: float) -> float:
    """Return the highest threshold expected to refuse at most ``target`` of new answerable questions, to four decimals.

    A question is refused if its score is less than the threshold. Among n + 1 questions that are alike, the new one is
    below the j-th lowest of the n others with a chance of at most j / (n + 1), so j is target * (n + 1), rounded down:
    the conformal quantile of Vovk, Gammerman and Shafer, *Algorithmic learning in a random world* (2005); Angelopoulos
    and Bates, *A gentle introduction to conformal prediction* (2021). If that is 0, there are too few scores to promise
    the target (:func:`too_few`), and the lowest is returned.

    Args:
        answerable: Scores of answerable questions, 0 to 1, at least one.
        target: Wanted share of false refusals, more than 0, less than 1.

    Raises:
        ValueError: If there are no scores or the target is out of range.

    Example:
        >>> threshold_for([0.9, 0.2, 0.6, 0.8], 0.4)
        0.6
    """
    if not answerable or not 0 < target < 1:
        raise ValueError(f"a threshold needs scores and a target between 0 and 1, not {target}")
    place = math.floor(target * (len(answerable) + 1) + 1e-9)  # 0.29 * 100 is a little less than 29
    score = sorted(answerable)[max(0, place - 1)]
    rounded = round(score, 4)
    return rounded if rounded <= score else round(rounded - 0.0001, 4)


def share_answerable(answerable: Sequence[float], unanswerable: Sequence[float], at: Sequence[float]) -> list[float]:
    """Return which share of the questions at each score is answerable: an isotonic regression, 0 to 1, not falling.

    It is the step function of Zadrozny and Elkan, *Transforming classifier scores into accurate multiclass probability
    estimates* (2002). The share depends on how many of both there are: among real questions it can be another.

    Args:
        answerable: Scores of answerable questions, at least one.
        unanswerable: Scores of unanswerable ones, at least one.
        at: Where to tell it.
    """
    from sklearn.isotonic import IsotonicRegression

    labels = [1.0] * len(answerable) + [0.0] * len(unanswerable)
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit([*answerable, *unanswerable], labels)
    return [float(share) for share in fitted.predict(np.asarray(at, dtype=np.float64))]


def score_probes(
    store: StoreWithout, pipeline: Pipeline, probes: Sequence[Probe], progress: Callable[[int, int], None] | None = None
) -> list[Row]:
    """Ask each sentence probe with its paper and without it, and return what the refusal decision made of it.

    Probes of titles are passed over: nobody doubts that a title is answered.

    Args:
        store: The collection that ``pipeline`` searches.
        pipeline: Answers.
        probes: The probes.
        progress: Called with (questions done, questions in all), first with 0.

    Raises:
        ValueError: If there is no sentence probe.
    """
    asked = [(probe, left_out) for left_out in (False, True) for probe in probes if probe.kind is Kind.SENTENCE]
    if not asked:
        raise ValueError("there are no sentence probes to ask")
    report_progress = progress or (lambda done, total: None)
    report_progress(0, len(asked))
    rows: list[Row] = []
    for probe, left_out in asked:
        with store.without(probe.paper) if left_out else nullcontext():
            score = ask(pipeline, probe.text).trace.answerability
        name, group = (f"{probe.id}, left out", "paper left out") if left_out else (probe.id, "paper there")
        rows.append(_row(name, group, probe.text, score, answerable=not left_out))
        report_progress(len(rows), len(asked))
    return rows


def score_questions(
    qa: Answerer, questions: Sequence[Question], progress: Callable[[int, int], None] | None = None
) -> list[Row]:
    """Ask each question with its history, and return what the refusal decision made of it.

    Args:
        qa: An open collection.
        questions: The questions.
        progress: Called with (questions done, questions in all), first with 0.

    Raises:
        EvalDataError: If no question is answerable, or a paper that should answer one is not in the collection.
    """
    if not any(question.answerable for question in questions):
        raise EvalDataError("None of the questions is answerable; a threshold needs some that are. Add questions.")
    locate_gold(questions, qa.papers())
    report_progress = progress or (lambda done, total: None)
    report_progress(0, len(questions))
    rows: list[Row] = []
    for question in questions:
        history = [{"role": turn.role, "content": turn.content} for turn in question.history]
        score = qa.ask(question.question, history=history or None).trace.answerability
        rows.append(_row(question.id, question.kind, question.question, score, answerable=question.answerable))
        report_progress(len(rows), len(questions))
    return rows


def run_calibration(
    rows: Sequence[Row],
    target: float,
    dataset: Dataset,
    used: Mapping[str, JsonValue],
    most: float = 1.0,
) -> Run:
    """Return the threshold for a target and what it would do, as a run.

    Args:
        rows: From :func:`score_probes` or :func:`score_questions`.
        target: Wanted share of false refusals, more than 0, less than 1.
        dataset: Where the questions come from.
        used: The settings, for the record.
        most: The threshold is not set above this, such as :data:`MOST_FROM_PROBES`.
    """
    answerable, unanswerable = answerability_scores(rows)
    threshold = min(threshold_for(answerable, target), most)
    judged = [_judged(row, threshold) for row in rows]
    fixed = [
        Definition(
            name=f"threshold@{share}",
            label=f"threshold for {share:.0%} false refusals",
            higher_is_better=None,
            over=_of_all(rows, min(threshold_for(answerable, share), most)),
        )
        for share in TARGETS
    ]
    definitions = [
        Definition(name="threshold", label="threshold", higher_is_better=None, over=_of_all(rows, threshold)),
        *REFUSAL_MEASURES,
        *fixed,
    ]
    return summarise(COMMAND, dataset, used, definitions, judged, _plots(answerable, unanswerable, threshold))


def too_few(run: Run, target: float) -> str:
    """Return why the threshold of a run is not to be kept, and what to do; "" if enough was asked.

    With fewer than 2 / target answerable questions it hangs on the lowest score or two.
    """
    answerable, _ = answerability_scores(run.rows)
    needed = math.ceil(2 / target - 1e-9)
    if len(answerable) >= needed:
        return ""
    return (
        f"The threshold {run.measure('threshold').value:.4f} is not kept: for a target of {target:.1%} it takes "
        f"{needed} answerable questions, and there are {len(answerable)}. Give more of them in --questions, or more "
        "probes with --limit if the collection has the papers, or a higher --target."
    )


def calibration_text(run: Run, target: float) -> str:
    """Return what the threshold of a run does, and what others would do, as aligned text."""
    answerable, unanswerable = answerability_scores(run.rows)
    wanted = {share: run.measure(f"threshold@{share}").value for share in TARGETS}
    wanted[target] = run.measure("threshold").value
    body = [
        [f"{share:.1%}", f"{threshold:.4f}", *(_refused(scores, threshold) for scores in (answerable, unanswerable))]
        for share, threshold in sorted(wanted.items())
    ]
    lines = aligned([["target", "threshold", "refused of the answerable", "refused of the unanswerable"], *body])
    told = ["On the same questions that the thresholds come from:", lines[0], "-" * len(lines[0]), *lines[1:]]
    if unanswerable:
        shares = zip(SHOWN_SCORES, share_answerable(answerable, unanswerable, SHOWN_SCORES), strict=True)
        listed = ", ".join(f"{share:.0%} at {score}" for score, share in shares)
        told += ["", f"Answerable among these {len(run.rows)} questions, by score: {listed}."]
    return "\n".join(told)


def _row(name: str, group: str, text: str, score: float, *, answerable: bool) -> Row:
    """Return the row of one question; whether it is refused is known when there is a threshold."""
    scores = {"refused_answerable": 0.0 if answerable else None, "refused_unanswerable": None if answerable else 0.0}
    return Row(name, group, text, scores, {"answerability": score})


def _judged(row: Row, threshold: float) -> Row:
    score = row.details["answerability"]
    assert isinstance(score, (int, float))
    scores = {name: None if known is None else float(score < threshold) for name, known in row.scores.items()}
    return Row(row.id, row.group, row.text, scores, row.details)


def _of_all(rows: Sequence[Row], value: float) -> Callable[[Sequence[Row]], float | None]:
    """Return a measure of all rows together, which no group of them has."""
    return lambda some: value if len(some) == len(rows) else None


def _refused(scores: Sequence[float], threshold: float) -> str:
    found: Estimate | None = rate([score < threshold for score in scores])
    return "-" if found is None else f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _plots(answerable: Sequence[float], unanswerable: Sequence[float], threshold: float) -> list[Plot]:
    if not unanswerable:
        return []
    places = sorted({0.0, 1.0, *answerable, *unanswerable})
    shares = share_answerable(answerable, unanswerable, places)
    return [
        refusal_histogram(answerable, unanswerable, threshold),
        refusal_curve(answerable, unanswerable, threshold),
        Curves(
            title="Share of these questions that is answerable",
            x_label="answerability",
            y_label="share of questions",
            lines=(Line("isotonic regression", tuple(places), tuple(shares)),),
            mark=threshold,
            mark_label="threshold",
        ),
    ]
