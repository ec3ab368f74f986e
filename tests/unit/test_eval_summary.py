import pytest

from eval.estimates import Estimate
from eval.run import Dataset, Row
from eval.summary import Definition, measures_of, percentile_of, summarise


def row(name, group="", **scores):
    return Row(name, group, name, scores, {})


ROWS = [row("1", "a", s=1.0, ms=10.0), row("2", "a", s=0.0, ms=20.0), row("3", "b", s=None, ms=60.0), row("4", "b")]


def test_a_missing_score_counts_zero_and_none_is_left_out():
    found = Definition(name="s", label="S").measure(ROWS)
    assert (found.value, found.n, found.per_query) == (pytest.approx(1 / 3), 3, True)
    assert found.low <= found.value <= found.high


def test_yes_or_no_has_wilsons_interval():
    found = Definition(name="s", label="S", yes_or_no=True).measure([row(str(n), s=1.0) for n in range(10)])
    assert (found.value, found.low) == (1.0, pytest.approx(0.72247, abs=1e-5))  # n / (n + z²)


def test_clusters_widen_the_interval():
    rows = [row(f"{group}{n}", group, s=float(int(group) % 2)) for group in map(str, range(20)) for n in range(10)]
    alone = Definition(name="s", label="S").measure(rows)
    together = Definition(name="s", label="S", cluster=lambda row: row.group).measure(rows)
    assert alone.value == together.value == 0.5
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_what_is_no_mean():
    total = Definition(name="t", label="T", unit="rows", over=len).measure(ROWS)
    assert (total.value, total.low, total.high, total.n, total.unit, total.per_query) == (
        4,
        None,
        None,
        4,
        "rows",
        False,
    )
    known = Definition(name="e", label="E", over=lambda rows: Estimate(0.5, 0.4, 0.6, 7)).measure(ROWS)
    assert (known.value, known.low, known.high, known.n) == (0.5, 0.4, 0.6, 7)
    assert Definition(name="n", label="N", over=lambda rows: None).measure(ROWS) is None
    assert percentile_of("ms", 50)(ROWS).value == 20


def test_groups_are_reported_apart_in_order():
    definitions = (Definition(name="s", label="S"), Definition(name="u", label="U", over=lambda rows: None))
    run = summarise("answers", Dataset("d", "x"), {"k": 1}, definitions, ROWS)
    assert [(group.name, group.n, [m.value for m in group.measures]) for group in run.groups] == [
        ("a", 2, [0.5]),
        ("b", 2, [0.0]),
    ]
    assert run.measures == measures_of(definitions, ROWS)
    assert (run.rows, run.settings) == (tuple(ROWS), {"k": 1})


def test_a_single_group_is_not_repeated():
    assert summarise("answers", Dataset("d", "x"), {}, (), ROWS[:2]).groups == ()
