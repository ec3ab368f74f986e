"""What is told of refusals, whatever the questions are: their measures and plots. Asks nothing.

Rows are those of a run: an answerable question has the score ``refused_answerable``, another ``refused_unanswerable``,
and both have the score of the refusal decision, ``answerability``, among their details.
"""

from collections.abc import Sequence

from .estimates import Estimate, clustered_auroc
from .run import Curves, Histogram, Line, Row, Series
from .summary import Definition


def answerability_scores(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    """Return the scores of the refusal decision: of the answerable questions, and of the unanswerable ones."""
    answerable, unanswerable = _by_answerability(rows)
    return [_answerability(row) for row in answerable], [_answerability(row) for row in unanswerable]


def answerability_area(rows: Sequence[Row]) -> Estimate | None:
    """Return the area under the ROC curve of the refusal decision; texts that are equal are resampled together."""
    answerable, unanswerable = _by_answerability(rows)
    return clustered_auroc(
        *answerability_scores(rows), [row.text for row in answerable], [row.text for row in unanswerable]
    )


def refusal_histogram(answerable: Sequence[float], unanswerable: Sequence[float], threshold: float) -> Histogram:
    """Return how the scores of the refusal decision are distributed."""
    return Histogram(
        title="Scores of the refusal decision",
        x_label="answerability",
        low=0.0,
        high=1.0,
        series=(Series("answerable", tuple(answerable)), Series("unanswerable", tuple(unanswerable))),
        mark=threshold,
        mark_label="threshold",
    )


def refusal_curve(answerable: Sequence[float], unanswerable: Sequence[float], threshold: float) -> Curves:
    """Return what every threshold would do: a question is refused if its score is below the threshold.

    Args:
        answerable: Scores of the answerable questions, 0 to 1, at least one.
        unanswerable: Scores of the unanswerable ones, at least one.
        threshold: The threshold in use.
    """
    places = sorted({0.0, 1.0, *answerable, *unanswerable})
    answered = tuple(sum(score >= place for score in answerable) / len(answerable) for place in places)
    refused = tuple(sum(score < place for score in unanswerable) / len(unanswerable) for place in places)
    return Curves(
        title="Refusal curve",
        x_label="threshold: questions that score below it are refused",
        y_label="share of questions",
        lines=(
            Line("answerable, answered", tuple(places), answered),
            Line("unanswerable, refused", tuple(places), refused),
        ),
        steps=True,
        mark=threshold,
        mark_label="threshold",
    )


def _by_answerability(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    answerable = [row for row in rows if row.scores["refused_answerable"] is not None]
    return answerable, [row for row in rows if row.scores["refused_unanswerable"] is not None]


def _answerability(row: Row) -> float:
    value = row.details["answerability"]
    assert isinstance(value, (int, float))
    return float(value)


REFUSAL_MEASURES = (
    Definition(
        name="refused_answerable",
        label="refused though answerable (false refusals)",
        column="ref ans",
        higher_is_better=False,
        yes_or_no=True,
    ),
    Definition(
        name="refused_unanswerable",
        label="refused and unanswerable (true refusals)",
        column="ref unans",
        yes_or_no=True,
    ),
    Definition(name="auroc", label="AUROC of answerability", column="AUROC", over=answerability_area),
)
"""The measures of refusals."""
