"""Show a run as aligned text. Does not measure, and does not write files."""

from collections.abc import Sequence

from .estimates import LEVEL
from .run import Measure, Run

OVERALL = "overall"


def render_text(run: Run) -> str:
    """Return a line per group, one over all, and every number over all with its interval.

    The columns are the measures that have a heading.
    """
    columns = [measure for measure in run.measures if measure.column]
    header = ["kind", "n", *(measure.column for measure in columns)]
    body = [
        [group.name, str(group.n), *(cell(group.measure(measure.name)) for measure in columns)] for group in run.groups
    ]
    last = [OVERALL, str(len(run.rows)), *map(cell, columns)]
    lines = aligned([header, *body, last])
    rule = "-" * len(lines[0])
    table = [lines[0], rule, *lines[1:-1], *([rule] if body else []), lines[-1]]
    heading = f"Over all queries, with {LEVEL:.0%} intervals:"
    listed = [[measure.label, *_interval(measure)] for measure in run.measures]
    return "\n".join([*table, "", heading, *(line.rstrip() for line in aligned(listed))])


def cell(measure: Measure | None) -> str:
    """Return the value of a measure without its unit; "-" for none."""
    return "-" if measure is None else number(measure.value, measure.unit)


def number(value: float, unit: str) -> str:
    """Return a number of a unit as text: shares with three decimals, others with what can be told apart.

    Example:
        >>> number(0.5, ""), number(74.4, "words"), number(3.25, "ms"), number(2.0, "quotes")
        ('0.500', '74', '3.2', '2')
    """
    if not unit:
        return f"{value:.3f}"
    return f"{value:.0f}" if abs(value) >= 10 or value == int(value) else f"{value:.1f}"


def interval(measure: Measure) -> str:
    """Return the interval of a measure as text; "" if it has none."""
    if measure.low is None or measure.high is None:
        return ""
    return f"[{number(measure.low, measure.unit)}, {number(measure.high, measure.unit)}]"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Pad the cells of each column to one width: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    template = "  ".join(f"{{:{'>' if n else '<'}{width}}}" for n, width in enumerate(widths))
    return [template.format(*row) for row in rows]


def _interval(measure: Measure) -> tuple[str, str, str, str]:
    return cell(measure), interval(measure), f"n = {measure.n:>3}", measure.unit
