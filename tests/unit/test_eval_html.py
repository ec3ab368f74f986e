import re
from html.parser import HTMLParser

import pytest

from eval import render_html
from eval.html import WORST, badness
from eval.run import Bars, Curves, Dataset, Group, Histogram, Line, Measure, Row, Run, Series
from eval.svg import bars_svg, curves_svg, histogram_svg

NASTY = "<script>alert('1')</script> & \"quotes\" <img src=https://example.org/x>"
VOID = {"meta", "path", "rect", "circle", "i"}


class Elements(HTMLParser):
    """Collects elements with their attributes, and checks that they close in order."""

    def __init__(self):
        super().__init__()
        self.found, self.open, self.text = [], [], []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parsed(html):
    elements = Elements()
    elements.feed(html)
    elements.close()
    assert elements.open == []
    return elements


def rect_of(svg, name):
    """Return the attributes of the bar whose title begins with a name."""
    (found,) = re.findall(rf"<rect ([^>]*)><title>{re.escape(name)}", svg)
    return {key: value for key, value in re.findall(r'([\w-]+)="([^"]*)"', found)}


SCORE = Measure(NASTY, NASTY, 0.5, 0.25, 0.75, 4, column=NASTY)
ERRORS = Measure("errors", "errors", 0.5, 0.25, 0.75, 4, higher_is_better=False)
TIME = Measure("ms", "time", 12.0, 10.0, 14.0, 4, unit="ms", higher_is_better=False)


def run(**changes):
    kept = {
        "command": NASTY,
        "dataset": Dataset(NASTY, NASTY),
        "settings": {NASTY: NASTY},
        "versions": {NASTY: NASTY},
        "measures": (SCORE, ERRORS, TIME),
        "groups": (Group(NASTY, 2, (SCORE,)),),
        "rows": (Row(NASTY, NASTY, NASTY, {NASTY: 0.0, "errors": None}, {NASTY: [NASTY, 0.12345, None]}),),
        "plots": (
            Bars(NASTY),
            Histogram(NASTY, NASTY, 0.0, 1.0, (Series(NASTY, (0.5,)),), 0.5, NASTY),
            Curves(NASTY, NASTY, NASTY, (Line(NASTY, (0.0, 1.0), (1.0, 0.0)),), True, 0.5, NASTY),
        ),
    }
    return Run(**{**kept, **changes})


def test_the_page_loads_nothing_and_escapes_every_text():
    html = render_html(run())
    elements = parsed(html)
    tags = {tag for tag, _ in elements.found}
    assert tags.isdisjoint({"script", "img", "link", "iframe", "object", "embed", "base", "form"})
    for _, attributes in elements.found:
        assert attributes.keys().isdisjoint({"src", "href", "srcset", "action", "data", "xlink:href"})
        assert not any(name.startswith("on") for name in attributes)
    (style,) = re.findall(r"<style>(.*?)</style>", html, flags=re.S)
    assert "url(" not in style
    assert "@import" not in style
    assert "https:" not in style
    assert NASTY not in html
    assert "".join(elements.text).count(NASTY) >= 10  # shown as it is


def test_both_schemes_and_phones_are_provided_for():
    html = render_html(run())
    assert "prefers-color-scheme: dark" in html
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in html


def test_measures_are_shown_with_intervals_and_directions():
    html = render_html(run(measures=(TIME, ERRORS), groups=(), plots=()))
    assert "<td>time</td><td>12 ms</td><td>[10, 14]</td><td>4</td><td>lower</td>" in html
    assert "<td>errors</td><td>0.500</td><td>[0.250, 0.750]</td>" in html


def test_the_worst_queries_come_first_and_perfect_ones_not_at_all():
    good = Measure("good", "good", 0.5, None, None, 3)
    rows = (
        Row("perfect", "", "perfect", {"good": 1.0, "errors": 0.0}, {}),
        Row("half", "", "half", {"good": 0.5, "errors": 0.5}, {}),
        Row("bad", "", "bad", {"good": 0.0, "errors": None, "ms": 1e9}, {}),
        Row("slow", "", "slow", {"good": 1.0, "errors": 0.25, "ms": 1e9}, {}),
    )
    some = run(measures=(good, ERRORS, TIME), rows=rows, groups=(), plots=())
    assert [badness(row, some) for row in rows] == [0.0, 0.5, 1.0, 0.125]
    listed = re.findall(r'<span class="tag">(\w+)</span>', render_html(some))
    assert listed == ["bad", "half", "slow"]
    assert badness(Row("none", "", "", {"good": None, "errors": None}, {}), some) == 0.0


def test_not_all_bad_queries_are_listed():
    good = Measure("good", "good", 0.0, None, None, 30)
    rows = tuple(Row(str(n), "", "", {"good": 0.0}, {}) for n in range(30))
    html = render_html(run(measures=(good,), rows=rows, groups=(), plots=()))
    assert html.count('class="tag"') == WORST == 20


def test_bars_start_at_zero_and_are_as_long_as_their_values():
    score = Measure("s", "S", 0.5, 0.25, 0.75, 4)
    groups = (Group("a", 2, (Measure("s", "S", 1.0, None, None, 2),)), Group("b", 2, ()))
    svg = bars_svg(run(groups=groups), score)
    whole, half = rect_of(svg, "a:"), rect_of(svg, "all:")
    assert whole["x"] == half["x"]
    assert float(half["width"]) == pytest.approx(float(whole["width"]) / 2, abs=0.1)
    assert "b (" not in svg  # has no such measure
    assert ">0</text>" in svg


def test_the_histogram_counts_shares():
    series = (Series("a", (0.0, 0.01, 0.99, 1.0)), Series("b", (0.5,)), Series("none", ()))
    svg = histogram_svg(Histogram("t", "score", 0.0, 1.0, series, 0.5, "limit"))
    # One bin of twenty holds 0 and 0.01, the last one 0.99 and 1; b is a single score.
    assert re.findall(r"<title>(\w+): ([\d.]+)%", svg) == [("a", "50.0"), ("a", "50.0"), ("b", "100.0")]
    left, right, middle = (float(x) for x in re.findall(r'<rect class="fill\d" x="([\d.]+)"', svg))
    assert middle == pytest.approx((left + right) / 2, abs=20)  # 0.5 begins the eleventh bin of twenty
    assert right - left > 0.9 * (388 - 56)
    (first, _, tallest) = re.findall(r'height="([\d.]+)"', svg)
    assert float(tallest) == pytest.approx(2 * float(first), abs=0.1)
    for text in ("score", "share of each series", "a (4)", "none (0)", "limit 0.5"):
        assert f">{text}</" in svg


def test_steps_hold_up_to_their_point():
    line = Line("l", (0.0, 0.5, 1.0), (1.0, 0.5, 0.0))
    (path,) = re.findall(r'class="line0" d="([^"]*)"', curves_svg(Curves("t", "x", "y", (line,), steps=True)))
    numbers = [float(text) for text in re.findall(r"[\d.]+", path)]
    left, top, half_down, middle, bottom, right = numbers
    assert re.sub(r"[\d. ]+", "", path) == "MVHVH"
    assert middle == pytest.approx((left + right) / 2, abs=0.1)
    assert half_down == pytest.approx((top + bottom) / 2, abs=0.1)
    (slanted,) = re.findall(r'class="line0" d="([^"]*)"', curves_svg(Curves("t", "x", "y", (line,))))
    assert re.sub(r"[\d. ]+", "", slanted) == "MLL"
