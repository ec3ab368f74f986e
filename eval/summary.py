"""Turn the rows of a run into its measures, over all rows and per group. Does not know what was scored."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from .estimates import Estimate, clustered_mean, mean, percentile, rate
from .run import Dataset, Group, Measure, Plot, Row, Run, versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What a measure is, before anything is measured.

    Attributes not listed here are those of :class:`eval.run.Measure`.

    Attributes:
        over: How rows become its value. None: it is the mean of the rows' scores of its name, with the percentile
            bootstrap over rows. A float is a value without an interval, such as a total; None if no row has it.
        yes_or_no: Its scores are 0 or 1. The interval of their mean is Wilson's, which keeps a width where all agree.
        cluster: What a row belongs to, where rows resemble each other, such as several questions on one paper; the
            interval then resamples whole clusters.
    """

    name: str
    label: str
    column: str = ""
    unit: str = ""
    higher_is_better: bool | None = True
    over: Callable[[Sequence[Row]], Estimate | float | None] | None = None
    yes_or_no: bool = False
    cluster: Callable[[Row], Hashable] | None = None

    def measure(self, rows: Sequence[Row]) -> Measure | None:
        """Return its value over rows; None if no row gives anything to measure by.

        A row without a score of this name counts 0, so that what was not answered never raises a mean. A score of
        None is left out: the query does not ask for this measure.
        """
        found = self.over(rows) if self.over else self._mean(rows)
        if found is None:
            return None
        if isinstance(found, Estimate):
            value, low, high, n = found.value, found.low, found.high, found.n
        else:
            value, low, high, n = float(found), None, None, len(rows)
        return Measure(
            name=self.name,
            label=self.label,
            value=value,
            low=low,
            high=high,
            n=n,
            unit=self.unit,
            higher_is_better=self.higher_is_better,
            per_query=self.over is None,
            column=self.column,
        )

    def _mean(self, rows: Sequence[Row]) -> Estimate | None:
        asked = [row for row in rows if row.scores.get(self.name, 0.0) is not None]
        scores = [row.scores.get(self.name) or 0.0 for row in asked]
        if self.cluster:
            return clustered_mean(scores, [self.cluster(row) for row in asked])
        return rate([score == 1.0 for score in scores]) if self.yes_or_no else mean(scores)


def percentile_of(name: str, q: float) -> Callable[[Sequence[Row]], Estimate | None]:
    """Return what takes the ``q``-th percentile (0 to 100) of the rows' scores of one name."""
    return lambda rows: percentile([score for row in rows if (score := row.scores.get(name)) is not None], q)


LATENCY = (
    Definition(name="latency_ms", label="time, mean", unit="ms", higher_is_better=False),
    Definition(
        name="latency_p50_ms",
        label="time, median",
        column="p50 ms",
        unit="ms",
        higher_is_better=False,
        over=percentile_of("latency_ms", 50),
    ),
    Definition(
        name="latency_p95_ms",
        label="time, 95th percentile",
        column="p95 ms",
        unit="ms",
        higher_is_better=False,
        over=percentile_of("latency_ms", 95),
    ),
)
"""The time per query, from the scores ``latency_ms``."""


def measures_of(definitions: Sequence[Definition], rows: Sequence[Row]) -> tuple[Measure, ...]:
    """Return every measure that the rows have."""
    found = (definition.measure(rows) for definition in definitions)
    return tuple(measure for measure in found if measure is not None)


def summarise(
    command: str,
    dataset: Dataset,
    settings: Mapping[str, JsonValue],
    definitions: Sequence[Definition],
    rows: Sequence[Row],
    plots: Sequence[Plot] = (),
) -> Run:
    """Return a run with its measures over all rows, and per group where there are several."""
    names = list(dict.fromkeys(row.group for row in rows))
    by_group = {name: [row for row in rows if row.group == name] for name in names}
    groups = [Group(name, len(some), measures_of(definitions, some)) for name, some in by_group.items()]
    return Run(
        command=command,
        dataset=dataset,
        settings=dict(settings),
        versions=versions(),
        measures=measures_of(definitions, rows),
        groups=tuple(groups) if len(groups) > 1 else (),
        rows=tuple(rows),
        plots=tuple(plots),
    )
