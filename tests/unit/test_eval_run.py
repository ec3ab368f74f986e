import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval import Dataset, Run, read_run, run_json
from eval.run import Bars, Curves, Group, Histogram, Line, Measure, Row, Series, parse_run, versions
from index.errors import EvalDataError

numbers = st.floats(allow_nan=False, allow_infinity=False)
shares = st.floats(0, 1)
texts = st.text(max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
measures = st.builds(
    Measure,
    name=texts,
    label=texts,
    value=numbers,
    low=st.none() | numbers,
    high=st.none() | numbers,
    n=st.integers(0, 9),
    unit=texts,
    higher_is_better=st.none() | st.booleans(),
    per_query=st.booleans(),
    column=texts,
)
rows = st.builds(
    Row,
    id=texts,
    group=texts,
    text=texts,
    scores=st.dictionaries(texts, st.none() | numbers, max_size=3),
    details=st.dictionaries(texts, json_values, max_size=3),
)
histograms = st.builds(
    Histogram,
    title=texts,
    x_label=texts,
    low=st.floats(-2, -1),
    high=st.floats(1, 2),
    series=st.lists(st.builds(Series, texts, st.lists(numbers, max_size=3).map(tuple)), min_size=1, max_size=2).map(
        tuple
    ),
    mark=st.none() | numbers,
    mark_label=texts,
)
points = st.lists(st.tuples(numbers, shares), min_size=1, max_size=4)
lines = st.builds(lambda name, found: Line(name, tuple(x for x, _ in found), tuple(y for _, y in found)), texts, points)
curves = st.builds(Curves, texts, texts, texts, st.lists(lines, max_size=2).map(tuple), st.booleans())


def some(strategy):
    return st.lists(strategy, max_size=3).map(tuple)


runs = st.builds(
    Run,
    command=texts,
    dataset=st.builds(Dataset, texts, texts),
    settings=st.dictionaries(texts, json_values, max_size=3),
    versions=st.dictionaries(texts, texts, max_size=2),
    measures=some(measures),
    groups=some(st.builds(Group, texts, st.integers(0, 9), some(measures))),
    rows=st.lists(rows, max_size=3, unique_by=lambda row: row.id).map(tuple),
    plots=some(histograms | curves),
)


@settings(deadline=None)
@given(runs)
def test_a_run_is_the_same_after_writing_and_reading(run):
    assert parse_run(run_json(run), "here") == run


def small(**changes):
    measure = Measure("score", "the score", 0.5, 0.25, 0.75, 2)
    kept = {
        "command": "answers",
        "dataset": Dataset("data.jsonl", "abc"),
        "settings": {},
        "versions": {},
        "measures": (measure,),
        "groups": (),
        "rows": (Row("1", "", "what?", {"score": 0.5}, {}),),
        "plots": (Bars("score"),),
    }
    return Run(**{**kept, **changes})


def test_measures_and_groups_are_found_by_name():
    group = Group("list", 1, (Measure("score", "the score", 1.0, None, None, 1),))
    run = small(groups=(group,))
    assert run.measure("score").value == 0.5
    assert run.group("list").measure("score").value == 1.0
    assert run.group("list").measure("other") is None
    for look_up in (run.measure, run.group):
        with pytest.raises(KeyError, match="other"):
            look_up("other")


def test_numbers_that_are_not_finite_are_not_written():
    with pytest.raises(ValueError, match="JSON"):
        run_json(small(rows=(Row("1", "", "", {"score": float("nan")}, {}),)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.pop("form"), "field form"),
        (lambda d: d.update(schema_version=99), "field schema_version: is 99, and this version reads 1"),
        (lambda d: d.pop("rows"), "field rows: Field required"),
        (lambda d: d["rows"][0].update(scores={"score": "high"}), r"field rows\.0\.scores\.score"),
        (lambda d: d["rows"][0]["scores"].update(score=float("inf")), r"field rows\.0\.scores\.score"),
        (lambda d: d["measures"][0].update(extra=1), r"field measures\.0\.extra"),
        (lambda d: d["rows"].append(d["rows"][0]), "field rows: two rows have one id"),
        (lambda d: d["plots"][0].update(measure="other"), r"field plots\.0: there is no measure 'other'"),
        (lambda d: d["plots"][0].update(kind="pie"), r"field plots\.0"),
    ],
)
def test_a_changed_file_is_refused_with_its_field_and_the_next_step(tmp_path, change, says):
    document = json.loads(run_json(small()))
    change(document)
    path = tmp_path / "run.json"
    path.write_text(json.dumps(document))
    with pytest.raises(EvalDataError, match=says) as caught:
        read_run(path)
    assert str(caught.value).startswith(str(path))
    assert any(step in str(caught.value) for step in ("Repeat the run", "Name the JSON file"))


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"not json", b"\xff\xfe", b"{" * 100_000, b'{"a": 1}'])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(EvalDataError, match="Name the JSON file"):
        read_run(path)
    with pytest.raises(EvalDataError, match="cannot be read"):
        read_run(tmp_path / "absent.json")


@pytest.mark.parametrize(
    "plot",
    [
        Histogram("t", "x", 1.0, 1.0, (Series("a", (1.0,)),)),
        Histogram("t", "x", 0.0, 1.0, ()),
        Curves("t", "x", "y", (Line("a", (1.0,), ()),)),
        Curves("t", "x", "y", (Line("a", (), ()),)),
    ],
)
def test_plots_that_cannot_be_drawn_are_refused(plot):
    with pytest.raises(EvalDataError, match=r"field plots\.0"):
        parse_run(run_json(small(plots=(plot,))), "here")


def test_versions_of_what_figures_depend_on():
    found = versions(("numpy", "no-such-package"))
    assert found.keys() == {"python", "citewell", "numpy", "no-such-package"}
    assert found["no-such-package"] == "not installed"
