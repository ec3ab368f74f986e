"""What is measured of an evidence reader, and what is drawn of it, from the rows of a run. Reads no abstracts.

Beside each area under the curve that compares texts that people wrote stands the one that a classifier reaches from the
text alone (:mod:`eval.leaks`). On twins that is 0.5 by construction: both sides have the same text. Every interval
resamples whole abstracts with all that was asked of them.
"""

from collections.abc import Callable, Iterator, Sequence
from math import floor

from .estimates import Estimate, clustered_auroc
from .evidence_set import Sort
from .run import Bars, Histogram, Plot, Row, Series
from .summary import Definition

_Area = Callable[[Sequence[Row]], Estimate | None]


def pair_area(high: str, low: str) -> _Area:
    """Return what compares two scores of the same rows: how often any ``high`` is above any ``low``."""

    def area(rows: Sequence[Row]) -> Estimate | None:
        pairs = [
            (above, below, _cluster(row))
            for row in rows
            if (above := row.scores.get(high)) is not None and (below := row.scores.get(low)) is not None
        ]
        clusters = [cluster for _, _, cluster in pairs]
        return clustered_auroc([above for above, _, _ in pairs], [below for _, below, _ in pairs], clusters, clusters)

    return area


def sort_area(score: str, high: Sort, low: Sort) -> _Area:
    """Return what compares one score of rows of two sorts: how often any of ``high`` is above any of ``low``."""

    def area(rows: Sequence[Row]) -> Estimate | None:
        above, below = (
            [row for row in of_sort(rows, sort) if row.scores.get(score) is not None] for sort in (high, low)
        )
        return clustered_auroc(
            values(above, score), values(below, score), list(map(_cluster, above)), list(map(_cluster, below))
        )

    return area


def of_sort(rows: Sequence[Row], sort: Sort) -> list[Row]:
    """Return the rows of one sort."""
    return [row for row in rows if row.details["sort"] == sort]


def values(rows: Sequence[Row], score: str) -> list[float]:
    """Return the scores of one name, of the rows that have it."""
    return [value for row in rows if (value := row.scores.get(score)) is not None]


def _cluster(row: Row) -> str:
    return str(row.details["cluster"])


def _mean(name: str, label: str, column: str = "") -> Definition:
    return Definition(name=name, label=label, column=column, cluster=_cluster)


def _auroc(name: str, label: str, area: _Area, column: str = "") -> Definition:
    return Definition(name=name, label=label, column=column, over=area)


def _text_alone(name: str, what: str, area: _Area) -> Definition:
    """A measure of the texts, not of the reader, and so neither better nor worse."""
    return Definition(name=name, label=f"  … of the {what} alone, no abstract", over=area, higher_is_better=None)


_ANSWERED = (Sort.ANSWERABLE, Sort.UNANSWERABLE)
_CLAIMED = (Sort.TRUE, Sort.FALSE)

DEFINITIONS = (
    _mean("hit@1", "right sentence first", "hit@1"),
    _mean("recall@3", "right sentences among the first 3", "rec@3"),
    _mean("strict_hit@1", "right sentence first, partly relevant ones wrong"),
    _mean("strict_recall@3", "right sentences among the first 3, partly relevant ones wrong"),
    _mean("claim_hit@1", "claims: right sentence first", "claim hit@1"),
    _mean("claim_recall@3", "claims: right sentences among the first 3", "claim rec@3"),
    _mean("support_hit@1", "true claims: right sentence first by support"),
    _auroc(
        "answerable_twins",
        "answerability AUROC, twins (of the question alone: 0.5)",
        pair_area("answerable", "answerable_twin"),
        "answer twins",
    ),
    _mean("answerable_pairs", "answerability, twins in order (of the question alone: 0.5)", "answer pairs"),
    _auroc("answerable_written", "answerability AUROC, written questions", sort_area("answerable", *_ANSWERED)),
    _text_alone("text_alone_written", "question", sort_area("text_alone", *_ANSWERED)),
    _auroc(
        "support_twins",
        "support AUROC, twins (of the claim alone: 0.5)",
        pair_area("supported", "supported_twin"),
        "support twins",
    ),
    _mean("support_pairs", "support, twins in order (of the claim alone: 0.5)", "support pairs"),
    _auroc("support_edits", "support AUROC, true claims and their edits", pair_area("supported_unedited", "supported")),
    _text_alone("text_alone_edits", "claim", pair_area("text_alone_unedited", "text_alone")),
    _mean("edit_pairs", "support, true claim above its edit"),
    Definition(
        name="text_alone_edit_pairs",
        label="  … of the claim alone, no abstract",
        cluster=_cluster,
        higher_is_better=None,
    ),
    _auroc("support_written", "support AUROC, true and false claims", sort_area("supported", *_CLAIMED)),
    _text_alone("text_alone_claims", "claim", sort_area("text_alone", *_CLAIMED)),
)

SCORES = (
    *("hit@1", "recall@3", "strict_hit@1", "strict_recall@3"),
    *("claim_hit@1", "claim_recall@3", "support_hit@1", "relevant"),
    *("answerable", "answerable_twin", "answerable_pairs"),
    *("supported", "supported_twin", "support_pairs", "supported_unedited", "edit_pairs"),
    *("text_alone", "text_alone_unedited", "text_alone_edit_pairs"),
)
"""Every score of a row; None where its text does not have it. Those that are no measure are log odds."""


def plots(rows: Sequence[Row]) -> list[Plot]:
    """Return the hits per group, and how answerability and support are distributed."""
    bars = [Bars(name) for name in ("hit@1", "claim_hit@1") if values(rows, name)]
    answerable, unanswerable, true, edited, false = (
        of_sort(rows, sort) for sort in (Sort.ANSWERABLE, Sort.UNANSWERABLE, Sort.TRUE, Sort.EDIT, Sort.FALSE)
    )
    return [
        *bars,
        *_histogram(
            "Answerability",
            ("answerable, whole", values(answerable, "answerable")),
            ("its sentences removed", values(answerable, "answerable_twin")),
            ("unanswerable", values(unanswerable, "answerable")),
        ),
        *_histogram(
            "Support of claims",
            ("true", values(true, "supported")),
            ("its sentences removed", values(true, "supported_twin")),
            ("edited", values(edited, "supported")),
            ("false", values(false, "supported")),
        ),
    ]


def _histogram(title: str, *series: tuple[str, Sequence[float]]) -> Iterator[Histogram]:
    shown = [Series(name, tuple(scores)) for name, scores in series if scores]
    if shown:
        scores = [score for one in shown for score in one.values]
        low, high = float(floor(min(scores))), float(floor(max(scores)) + 1)
        yield Histogram(
            title, "log odds", low, high, tuple(shown), mark=0.0 if low < 0 < high else None, mark_label="even"
        )
