"""Show a run as one HTML page that loads nothing. Does not measure, and does not write files.

The page has no script; every text of the run is escaped.
"""

import json
from collections.abc import Iterator, Sequence
from html import escape

from pydantic import JsonValue

from .estimates import LEVEL
from .report import cell, interval, number
from .run import Bars, Curves, Measure, Plot, Row, Run
from .svg import bars_svg, curves_svg, histogram_svg

WORST = 20
"""How many of the worst queries are listed."""

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --text: #1d2330; --soft: #5b6475; --rule: #d9dde5; --panel: #f6f7f9;
  --c0: #0b6bb8; --c1: #c2540a; --c2: #0a7f5f; --c3: #a3467f; --c4: #6a5acd; --c5: #7a6a00; }
@media (prefers-color-scheme: dark) { :root { --page: #14171d; --text: #e6e9ef; --soft: #a2abba; --rule: #363c48;
  --panel: #1c2028; --c0: #3f97e0; --c1: #e07f3a; --c2: #45c9a1; --c3: #e08fc2; --c4: #a99cf5; --c5: #d6c454; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 16px 64px; max-width: 1080px; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; margin: 0 0 4px; } h2 { font-size: 1.15rem; margin: 40px 0 8px; }
p { margin: 4px 0; } .soft { color: var(--soft); font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: 5px 12px 5px 0; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; white-space: normal; }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 110px; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); gap: 24px; }
figure { margin: 0; max-width: 480px; } figcaption { font-weight: 600; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); } svg text.value { fill: var(--text); }
.grid { stroke: var(--rule); fill: none; } .zero { stroke: var(--soft); fill: none; }
.mark { stroke: var(--text); stroke-dasharray: 4 3; fill: none; } .whisker { stroke: var(--text); fill: none; }
.fill0 { fill: var(--c0); } .fill1 { fill: var(--c1); } .fill2 { fill: var(--c2); } .fill3 { fill: var(--c3); }
.fill4 { fill: var(--c4); } .fill5 { fill: var(--c5); }
[class^=line] { fill: none; stroke-width: 2; } .line0 { stroke: var(--c0); }
.line1 { stroke: var(--c1); stroke-dasharray: 7 3; } .line2 { stroke: var(--c2); stroke-dasharray: 2 3; }
.line3 { stroke: var(--c3); stroke-dasharray: 9 3 2 3; } .line4 { stroke: var(--c4); } .line5 { stroke: var(--c5); }
.legend { display: flex; flex-wrap: wrap; gap: 2px 16px; color: var(--soft); font-size: .85rem; }
.legend i { display: inline-block; width: 12px; height: 12px; margin-right: 6px; border-radius: 2px; }
.key0 { background: var(--c0); } .key1 { background: var(--c1); } .key2 { background: var(--c2); }
.key3 { background: var(--c3); } .key4 { background: var(--c4); } .key5 { background: var(--c5); }
details { border-bottom: 1px solid var(--rule); padding: 8px 0; } summary { cursor: pointer; }
details dl { margin: 8px 0 4px; display: grid; grid-template-columns: minmax(90px, max-content) 1fr; gap: 4px 16px;
  font-size: .92rem; }
dt { color: var(--soft); } dd { margin: 0; min-width: 0; }
pre { background: var(--panel); padding: 12px; overflow-x: auto; font-size: .85rem; }
.tag { color: var(--soft); font-size: .85rem; margin-right: 8px; }
@media (max-width: 600px) { details dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: 8px; } }
"""


def render_html(run: Run) -> str:
    """Return a run as a page: its measures, its groups, its plots, its worst queries, and how it was made."""
    title = f"citewell eval {run.command}"
    return page(
        title,
        [
            f"<h1>{escape(title)}</h1>",
            f'<p>{len(run.rows)} queries of {escape(run.dataset.path)}</p><p class="soft">SHA-256 '
            f"{escape(run.dataset.sha256)}</p>",
            f"<h2>Measures</h2>{_measures(run.measures)}",
            *_groups(run),
            *_plots(run),
            *_worst(run),
            f"<h2>How it was made</h2>{_folded('Settings', run.settings)}{_folded('Versions', run.versions)}",
        ],
    )


def page(title: str, parts: Sequence[str]) -> str:
    """Return a whole page of parts that are HTML already.

    Args:
        title: Plain text.
        parts: What stands in its body, escaped.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def table(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a table of plain texts: the first column to the left, the others to the right."""
    head = "".join(f"<th>{escape(text)}</th>" for text in header)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in body)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def badness(row: Row, run: Run) -> float:
    """Return how much a row lacks of the best it could have, 0 to 1: the mean over its shares.

    A share that should be low lacks what it has. Numbers with a unit do not count.
    """
    lacks = [
        1.0 - score if measure.higher_is_better else score
        for measure in run.measures
        if measure.per_query and not measure.unit and measure.higher_is_better is not None
        if (score := row.scores.get(measure.name, 0.0)) is not None
    ]
    return sum(lacks) / len(lacks) if lacks else 0.0


def _measures(measures: Sequence[Measure]) -> str:
    header = ("measure", "value", f"{LEVEL:.0%} interval", "n", "better")
    better = {True: "higher", False: "lower", None: ""}
    body = [
        (
            measure.label,
            f"{cell(measure)} {measure.unit}".rstrip(),
            interval(measure),
            str(measure.n),
            better[measure.higher_is_better],
        )
        for measure in measures
    ]
    return table(header, body)


def _groups(run: Run) -> Iterator[str]:
    if not run.groups:
        return
    columns = [measure for measure in run.measures if measure.column]
    header = ("group", "n", *(measure.column for measure in columns))
    body = [
        (group.name, str(group.n), *(cell(group.measure(measure.name)) for measure in columns)) for group in run.groups
    ]
    yield f"<h2>By group</h2>{table(header, body)}"


def _plots(run: Run) -> Iterator[str]:
    if run.plots:
        yield f'<h2>Plots</h2><div class="plots">{"".join(_plot(run, plot) for plot in run.plots)}</div>'
        yield f'<p class="soft">Lines on bars are {LEVEL:.0%} intervals; numbers in brackets count queries.</p>'


def _plot(run: Run, plot: Plot) -> str:
    if isinstance(plot, Bars):
        return bars_svg(run, run.measure(plot.measure))
    return curves_svg(plot) if isinstance(plot, Curves) else histogram_svg(plot)


def _worst(run: Run) -> Iterator[str]:
    lacking = sorted(run.rows, key=lambda row: -badness(row, run))
    worst = [row for row in lacking if badness(row, run) > 0][:WORST]
    if not worst:
        return
    units = {measure.name: measure.unit for measure in run.measures}
    yield f'<h2>The worst {len(worst)} queries</h2><p class="soft">By the mean of their scores, worst first.</p>'
    for row in worst:
        scores = ", ".join(
            f"{name} {number(score, units.get(name, ''))}" for name, score in row.scores.items() if score is not None
        )
        facts = [("scores", scores), *((name, _plain(value)) for name, value in row.details.items())]
        listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts if value)
        tag = " ".join(filter(None, (row.id, row.group)))
        yield (
            f'<details><summary><span class="tag">{escape(tag)}</span>{escape(row.text)}</summary>'
            f"<dl>{listed}</dl></details>"
        )


def _plain(value: JsonValue) -> str:
    if isinstance(value, list):
        return "; ".join(map(_plain, value))
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _folded(title: str, values: object) -> str:
    text = json.dumps(values, indent=2, ensure_ascii=False)
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"
