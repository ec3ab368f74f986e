"""Draw the plots of a run as inline SVG. Colours and fonts come from the page's style sheet; all text is escaped.

Bars and axes of shares start at zero. A drawing is 400 wide, so that its text keeps its size on a phone.
"""

from collections.abc import Iterator, Sequence
from html import escape

from .report import interval, number
from .run import Curves, Histogram, Measure, Run

WIDTH = 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 388, 22, 200
_HEIGHT = 250
_BINS = 20
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_BAR_HEIGHT, _BAR_STEP = 16, 26
_BARS_LEFT, _BARS_RIGHT = 154, 344
_LABEL_CHARS = 21


def histogram_svg(plot: Histogram) -> str:
    """Draw the distribution of each series: per bin, the share of its scores, side by side."""
    shares = [_shares(series.values, plot) for series in plot.series]
    top = _round_up(max(max(share) for share in shares))
    bin_width = (_RIGHT - _LEFT) / _BINS
    width = 0.86 * bin_width / len(shares)
    bars = []
    for number_of, (series, share) in enumerate(zip(plot.series, shares, strict=True)):
        for place, value in enumerate(share):
            if value:
                x = _LEFT + place * bin_width + 0.07 * bin_width + number_of * width
                y = _y(value / top)
                title = f"<title>{escape(series.name)}: {value:.1%}</title>"
                bars.append(
                    f'<rect class="fill{number_of}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                    f'height="{_BOTTOM - y:.1f}">{title}</rect>'
                )
    axes = _axes(plot.x_label, "share of each series", (plot.low, plot.high), top)
    mark = _mark(plot.mark, plot.mark_label, plot.low, plot.high)
    names = [f"{series.name} ({len(series.values)})" for series in plot.series]
    return _figure(plot.title, _svg(plot.title, _HEIGHT, [axes, *bars, mark]), _legend(names))


def curves_svg(plot: Curves) -> str:
    """Draw each line from its first point to its last; with steps, flat up to each point."""
    low = min(line.x[0] for line in plot.lines)
    high = max(line.x[-1] for line in plot.lines)
    if low == high:
        low, high = low - 0.5, high + 0.5
    parts = [_axes(plot.x_label, plot.y_label, (low, high), 1.0)]
    for number_of, line in enumerate(plot.lines):
        path: list[str] = []
        for x, y in zip(line.x, line.y, strict=True):
            px, py = _x(x, low, high), _y(y)
            command = "M" if not path else "L"
            path.append(f"V{py:.1f}H{px:.1f}" if plot.steps and path else f"{command}{px:.1f} {py:.1f}")
        parts.append(f'<path class="line{number_of}" d="{"".join(path)}"/>')
    parts.append(_mark(plot.mark, plot.mark_label, low, high))
    return _figure(plot.title, _svg(plot.title, _HEIGHT, parts), _legend([line.name for line in plot.lines]))


def bars_svg(run: Run, measure: Measure) -> str:
    """Draw a measure with its intervals as a horizontal bar per group, and one over all rows."""
    lines: list[tuple[str, Measure]] = [
        (group.name, found) for group in run.groups if (found := group.measure(measure.name)) is not None
    ]
    lines.append(("all", measure))
    top = 1.0 if not measure.unit else _round_up(max(line.high or line.value for _, line in lines) or 1.0)
    bottom = len(lines) * _BAR_STEP + 8
    parts = []
    for tick in _TICKS:
        x = _bar_x(tick)
        text = number(tick * top, measure.unit) if measure.unit else f"{tick:g}"
        parts.append(f'<path class="grid" d="M{x:.1f} 4V{bottom}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{text}</text>')
    for place, (name, line) in enumerate(lines):
        y = 8 + place * _BAR_STEP
        parts.extend(_bar(name, line, y, top, "fill1" if place == len(lines) - 1 else "fill0"))
    label = f"{measure.label}{f' ({measure.unit})' if measure.unit else ''}"
    parts.append(_text("label", (_BARS_LEFT + _BARS_RIGHT) / 2, bottom + 36, label))
    return _figure(measure.label, _svg(measure.label, bottom + 44, parts), "")


def differences_svg(title: str, lines: Sequence[tuple[str, float, float, float]]) -> str:
    """Draw differences with their intervals around a line at zero.

    Args:
        title: What is shown.
        lines: Label, difference, and both ends of its interval, each; at least one.
    """
    reach = _round_up(max(max(abs(low), abs(high), abs(value)) for _, value, low, high in lines) or 1.0)
    bottom = len(lines) * _BAR_STEP + 8
    parts = []
    for tick in (-1.0, -0.5, 0.0, 0.5, 1.0):
        x = _bar_x((tick + 1) / 2)
        parts.append(f'<path class="{"zero" if tick == 0 else "grid"}" d="M{x:.1f} 4V{bottom}"/>')
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{tick * reach:+.3g}</text>'
        )
    for place, (name, value, low, high) in enumerate(lines):
        y = 8 + place * _BAR_STEP + _BAR_HEIGHT / 2
        x, left, right = (_bar_x((end / reach + 1) / 2) for end in (value, low, high))
        parts.append(_text("tick", _BARS_LEFT - 8, y + 4, _short(name), "end"))
        parts.append(_whisker(left, right, y))
        parts.append(f'<circle class="fill0" cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
    parts.append(_text("label", (_BARS_LEFT + _BARS_RIGHT) / 2, bottom + 36, "difference, B minus A"))
    return _figure(title, _svg(title, bottom + 44, parts), "")


def _bar(name: str, line: Measure, y: float, top: float, style: str) -> Iterator[str]:
    end = _bar_x(line.value / top)
    yield _text("tick", _BARS_LEFT - 8, y + 12, _short(name, f" ({line.n})"), "end")
    title = f"<title>{escape(name)}: {number(line.value, line.unit)} {interval(line)}</title>"
    yield (
        f'<rect class="{style}" x="{_BARS_LEFT}" y="{y}" width="{end - _BARS_LEFT:.1f}" '
        f'height="{_BAR_HEIGHT}">{title}</rect>'
    )
    right = end
    if line.low is not None and line.high is not None:
        right = _bar_x(line.high / top)
        yield _whisker(_bar_x(line.low / top), right, y + _BAR_HEIGHT / 2)
    yield _text("value", _BARS_RIGHT + 10, y + 12, number(line.value, line.unit), "start")


def _whisker(left: float, right: float, y: float) -> str:
    return (
        f'<path class="whisker" d="M{left:.1f} {y:.1f}H{right:.1f}'
        f'M{left:.1f} {y - 4:.1f}V{y + 4:.1f}M{right:.1f} {y - 4:.1f}V{y + 4:.1f}"/>'
    )


def _axes(x_label: str, y_label: str, ends: tuple[float, float], top: float) -> str:
    low, high = ends
    parts = []
    for tick in _TICKS:
        y, x = _y(tick), _LEFT + tick * (_RIGHT - _LEFT)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_RIGHT}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick * top:.3g}</text>')
        place = low + tick * (high - low)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{_BOTTOM + 16}" text-anchor="middle">{place:.3g}</text>')
    parts.append(_text("label", (_LEFT + _RIGHT) / 2, _BOTTOM + 38, x_label))
    middle = (_TOP + _BOTTOM) / 2
    parts.append(
        f'<text class="label" transform="translate(13 {middle:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_label)}</text>"
    )
    return "".join(parts)


def _mark(place: float | None, label: str, low: float, high: float) -> str:
    if place is None or not low <= place <= high:
        return ""
    x = _x(place, low, high)
    line = f'<path class="mark" d="M{x:.1f} {_TOP - 4}V{_BOTTOM}"/>'
    anchor = "start" if x < _LEFT + 60 else "end" if x > _RIGHT - 60 else "middle"  # within the drawing
    return line + _text("tick", x, _TOP - 8, f"{label} {place:.3g}", anchor)


def _shares(values: Sequence[float], plot: Histogram) -> list[float]:
    counts = [0] * _BINS
    for value in values:
        place = int((value - plot.low) / (plot.high - plot.low) * _BINS)
        counts[min(max(place, 0), _BINS - 1)] += 1
    return [count / len(values) if values else 0.0 for count in counts]


def _round_up(value: float) -> float:
    """Return the next number that reads well on an axis.

    Example:
        >>> [_round_up(value) for value in (0.03, 0.31, 1.0, 37)]
        [0.04, 0.4, 1.0, 40.0]
    """
    scale = 1.0
    while value > scale:
        scale *= 10
    while 0 < value <= scale / 10:
        scale /= 10
    return next((step * scale for step in (0.2, 0.4, 0.6, 0.8) if value <= step * scale), scale)


def _x(value: float, low: float, high: float) -> float:
    return _LEFT + (value - low) / (high - low) * (_RIGHT - _LEFT)


def _y(share: float) -> float:
    return _BOTTOM - share * (_BOTTOM - _TOP)


def _bar_x(share: float) -> float:
    return _BARS_LEFT + share * (_BARS_RIGHT - _BARS_LEFT)


def _text(style: str, x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _short(name: str, count: str = "") -> str:
    """Return a label that fits beside its bar: the name, cut if need be, and the whole count."""
    room = _LABEL_CHARS - len(count)
    return (name if len(name) <= room else f"{name[: room - 1].rstrip()}…") + count


def _legend(names: Sequence[str]) -> str:
    keys = (f'<span><i class="key{n}"></i>{escape(name)}</span>' for n, name in enumerate(names))
    return f'<p class="legend">{"".join(keys)}</p>'


def _svg(label: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label, quote=True)}">'
        f"{''.join(parts)}</svg>"
    )


def _figure(title: str, svg: str, legend: str) -> str:
    return f"<figure><figcaption>{escape(title)}</figcaption>{legend}{svg}</figure>"
