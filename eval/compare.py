"""Compare two runs of one command on one dataset, query by query. Reads no files and does not print.

Per measure, the difference is B minus A, averaged over the queries that both runs have a score for. Its interval is
that of :func:`eval.estimates.mean` over the differences. Rows that name a cluster in their details, such as those on
one abstract, resemble each other: the interval is that of :func:`eval.estimates.clustered_mean`, and the test below
tosses one sign for the summed differences of a cluster. Whether it could be chance is judged by the randomisation test
of Fisher, *The design of experiments* (1935), section 21, which Smucker, Allan and Carterette, *A comparison of
statistical significance tests for information retrieval evaluation* (2007), recommend: if both runs were alike, the
sign of each difference would be a coin toss. The p-value is the share of tosses that lead at least as far from zero;
the observed one counts among them (Phipson and Smyth, *Permutation p-values should never be zero*, 2010). Over the
measures, p-values are corrected as in Holm, *A simple sequentially rejective multiple test procedure* (1979).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from index.errors import EvalDataError

from .estimates import clustered_mean, mean
from .html import page, table
from .report import aligned, number
from .run import Measure, Row, Run
from .svg import differences_svg

ALPHA = 0.05
TOSSES = 10_000
SEED = 0
_AT_ONCE = 500
_OF_THE_DATA = "text_alone"  # begins the names of measures that do not depend on the run's reader

_Pair = tuple[float, float, str]  # the scores of A and B, and the cluster


@dataclass(frozen=True, slots=True)
class Difference:
    """One measure of two runs over the same queries.

    Attributes:
        measure: The measure, as the second run describes it.
        a: Mean of the first run over these queries.
        b: Mean of the second run.
        value: ``b - a``.
        low: Lower end of its 95% interval.
        high: Upper end.
        n: Number of queries.
        p: Two-sided p-value, above 0, at most 1.
        p_holm: The same, corrected for the number of measures.
    """

    measure: Measure
    a: float
    b: float
    value: float
    low: float
    high: float
    n: int
    p: float
    p_holm: float

    @property
    def verdict(self) -> str:
        """What can be said: who is better, who is higher where neither direction is better, or no one."""
        if self.p_holm > ALPHA:
            return f"no difference that {self.n} queries can show"
        higher = "B" if self.value > 0 else "A"
        if self.measure.higher_is_better is None:
            return f"{higher} is higher"
        lower = "A" if higher == "B" else "B"
        return f"{higher if self.measure.higher_is_better else lower} is better"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        a: What the first run is called.
        b: What the second is called.
        command: Their command.
        dataset: The path of their dataset, as the second names it.
        paired: Queries in both.
        only_a: Queries of the first alone, which are left out.
        only_b: Queries of the second alone.
        differences: One per measure that both have per query; those of the texts alone are left out.
    """

    a: str
    b: str
    command: str
    dataset: str
    paired: int
    only_a: int
    only_b: int
    differences: tuple[Difference, ...]


def compare_runs(a: Run, b: Run, names: tuple[str, str] = ("A", "B")) -> Comparison:
    """Pair the rows of two runs by id, and compare every measure that both have per query.

    Args:
        a: The first run.
        b: The second.
        names: What they are called, such as their files.

    Raises:
        EvalDataError: If their commands or the digests of their datasets differ, or they share no query or measure.
    """
    if a.command != b.command:
        raise EvalDataError(
            f"{names[0]} is a run of {a.command}, {names[1]} of {b.command}. Compare two runs of one command."
        )
    if a.dataset.sha256 != b.dataset.sha256:
        raise EvalDataError(
            f"{names[0]} was measured on {a.dataset.path} (SHA-256 {a.dataset.sha256[:12]}…), {names[1]} on "
            f"{b.dataset.path} ({b.dataset.sha256[:12]}…). Repeat one of them on the data of the other."
        )
    rows_a, rows_b = ({row.id: row for row in run.rows} for run in (a, b))
    shared = [name for name in rows_a if name in rows_b]
    if not shared:
        raise EvalDataError(f"{names[0]} and {names[1]} have no query in common. Repeat one without --limit.")
    compared = {m.name for m in a.measures if m.per_query and not m.name.startswith(_OF_THE_DATA)}
    found: list[tuple[Measure, list[_Pair]]] = []
    for measure in b.measures:
        if measure.per_query and measure.name in compared:
            scores = ((rows_a[i].scores.get(measure.name), rows_b[i].scores.get(measure.name), i) for i in shared)
            if pairs := [(x, y, _cluster(rows_b[i])) for x, y, i in scores if x is not None and y is not None]:
                found.append((measure, pairs))
    if not found:
        raise EvalDataError(f"{names[0]} and {names[1]} have no measure in common. Repeat both with one version.")
    p_values = [sign_flip_p(_summed(pairs)) for _, pairs in found]
    return Comparison(
        a=names[0],
        b=names[1],
        command=b.command,
        dataset=b.dataset.path,
        paired=len(shared),
        only_a=len(rows_a) - len(shared),
        only_b=len(rows_b) - len(shared),
        differences=tuple(
            _difference(measure, pairs, p, p_holm)
            for (measure, pairs), p, p_holm in zip(found, p_values, holm(p_values), strict=True)
        ),
    )


def sign_flip_p(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of the randomisation test that tosses the signs of paired differences.

    10,000 tosses are drawn with a fixed seed, so the smallest value is about 0.0001. It is 1 if nothing differs.

    Args:
        differences: One per query, or the sum of those that belong together; at least one.
    """
    # Differences of zero stay zero however the coin falls.
    values = np.array([value for value in differences if value], dtype=np.float64)
    observed = abs(values.sum())
    rng = np.random.default_rng(SEED)
    as_far = 0
    for _ in range(TOSSES // _AT_ONCE):  # in parts: all tosses of a large benchmark would take gigabytes
        signs = rng.choice(np.array([-1.0, 1.0]), size=(_AT_ONCE, len(values)))
        as_far += int(np.sum(np.abs(signs @ values) >= observed - 1e-9))  # sums in another order differ a little
    return (as_far + 1) / (TOSSES + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number by Holm's step-down method, in the order given.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none becomes less than one before it, or more
    than 1.

    Example:
        >>> holm([0.01, 0.5, 0.02])
        [0.03, 0.5, 0.04]
    """
    corrected = [0.0] * len(p_values)
    so_far = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        so_far = max(so_far, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = so_far
    return corrected


def comparison_text(comparison: Comparison) -> str:
    """Return a comparison as aligned text."""
    header, body = _table(comparison)
    lines = aligned([header, *body])
    heading = f"A = {comparison.a}\nB = {comparison.b}\n{_counts(comparison)}"
    return "\n".join([heading, "", lines[0], "-" * len(lines[0]), *lines[1:], "", _NOTE])


def comparison_html(comparison: Comparison) -> str:
    """Return a comparison as a page that loads nothing."""
    from html import escape

    title = f"citewell eval compare: {comparison.command}"
    shares = [
        (difference.measure.label, difference.value, difference.low, difference.high)
        for difference in comparison.differences
        if not difference.measure.unit
    ]
    drawn = differences_svg("Differences with 95% intervals", shares) if shares else ""
    return page(
        title,
        [
            f"<h1>{escape(title)}</h1><p>A = {escape(comparison.a)}</p><p>B = {escape(comparison.b)}</p>",
            f"<p>{escape(_counts(comparison))}</p><h2>Measures</h2>{table(*_table(comparison))}",
            f'<p class="soft">{escape(_NOTE)}</p>',
            f'<h2>Plots</h2><div class="plots">{drawn}</div>' if drawn else "",
        ],
    )


_NOTE = (
    "Difference: B minus A with its 95% interval (bootstrap over queries). p: randomisation test of signs, "
    f"{TOSSES:,} tosses, corrected by Holm; {ALPHA} or less counts as a difference. Queries that belong together, such "
    "as those on one abstract, are drawn and tossed together. Measures over many queries at once, such as AUROC, are "
    "not compared."
)


def _table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    header = ["measure", "n", "A", "B", "difference", "95% interval", "p", "p (Holm)", "verdict"]
    body = []
    for d in comparison.differences:
        unit = d.measure.unit
        label = f"{d.measure.label} ({unit})" if unit else d.measure.label
        ends = f"[{_signed(d.low, unit)}, {_signed(d.high, unit)}]"
        values = [number(d.a, unit), number(d.b, unit), _signed(d.value, unit), ends]
        body.append([label, str(d.n), *values, f"{d.p:.4f}", f"{d.p_holm:.4f}", d.verdict])
    return header, body


def _signed(value: float, unit: str) -> str:
    text = number(value, unit)
    return f"+{text}" if value > 0 else text


def _counts(comparison: Comparison) -> str:
    alone = [f"{n} of {name} alone left out" for n, name in ((comparison.only_a, "A"), (comparison.only_b, "B")) if n]
    return ", ".join([f"{comparison.command} on {comparison.dataset}: {comparison.paired} queries in both", *alone])


def _cluster(row: Row) -> str:
    """Return what a row belongs to; one that names no cluster is alone."""
    return str(row.details.get("cluster", row.id))


def _summed(pairs: Sequence[_Pair]) -> list[float]:
    """Return the summed difference of each cluster."""
    sums: dict[str, float] = {}
    for x, y, cluster in pairs:
        sums[cluster] = sums.get(cluster, 0.0) + (y - x)
    return list(sums.values())


def _difference(measure: Measure, pairs: Sequence[_Pair], p: float, p_holm: float) -> Difference:
    of_a, of_b, clusters = zip(*pairs, strict=True)
    differences = [y - x for x, y, _ in pairs]
    alone = len(set(clusters)) == len(clusters)
    estimate = mean(differences) if alone else clustered_mean(differences, clusters)
    assert estimate is not None  # there is at least one pair
    a, b = sum(of_a) / len(pairs), sum(of_b) / len(pairs)
    return Difference(measure, a, b, estimate.value, estimate.low, estimate.high, len(pairs), p, p_holm)
