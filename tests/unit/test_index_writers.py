"""Writers: what is written reads back as the same papers, and what a file looks like to other programs."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from index.paper import Paper
from index.readers import bibtex, jsonl, read_papers, ris
from index.text import clean_text
from index.writers import write_papers
from index.writers.bibtex import citations

READERS = {"bib": bibtex, "ris": ris, "jsonl": jsonl}
FORMATS = sorted(READERS)

NASTY = st.lists(
    st.sampled_from(
        [*"{}\\~^%&#$_\"'`@=,;:-<>| \n\r\t\x00\u200b\u2028éß", "@misc{k,", "}, note={", "ER  - ", "TY  - JOUR",
         "\nAB  - x", " and ", "others", "\\alpha", "$x_1$", "``q''", "<i>", "&amp;", "--", "2times", "null", "[]",
         "{}", "word "]
    ),
    max_size=12,
).map("".join)  # fmt: skip
TEXT = st.one_of(st.text(max_size=30), NASTY)
SHOWN = TEXT.filter(lambda text: bool(clean_text(text)))  # what is left out as empty is no field
DOI = st.one_of(st.just(""), st.from_regex(r"10\.[0-9]{4}/[A-Za-z0-9._()-]{1,12}", fullmatch=True), NASTY)
IDENTIFIER = st.one_of(
    st.sampled_from(["arXiv:2304.05659v2", "hep-th/9901001", "PMID: 123", "10.1000/ABC", "doi:10.1000/x_{y}", "own/1"]),
    TEXT.filter(lambda text: bool(text.strip())),
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
EXTRA = st.dictionaries(
    st.one_of(st.sampled_from(["key", "type", "pages", "note", "title", "VL", "extra"]), st.text(max_size=6)),
    JSON_VALUES,
    max_size=3,
)


@st.composite
def papers(draw: Any) -> Paper:
    paper = Paper.create(
        draw(SHOWN),
        draw(SHOWN),
        id=draw(st.one_of(st.just(""), IDENTIFIER)),
        authors=tuple(draw(st.lists(SHOWN, max_size=3))),
        year=draw(st.none() | st.integers(1000, 2999)),
        venue=draw(TEXT),
        url=draw(st.one_of(TEXT, st.sampled_from(["https://arxiv.org/abs/2304.05659", "https://a.b/c_d?e=~f%20g"]))),
        doi=draw(DOI),
        tags=tuple(draw(st.lists(SHOWN, max_size=3))),
        extra=draw(EXTRA),
        identifiers=tuple(draw(st.lists(IDENTIFIER, max_size=3))),
    )
    return paper


def written(some: list[Paper], form: str) -> str:
    stream = io.StringIO()
    assert write_papers(some, stream, form) == len(some)
    return stream.getvalue()


PLAIN = Paper.create(
    "On 50% of {Graphs} & Trees",
    "We ask of what use $x_1$ is. It is of none.",
    authors=("Lovelace, Ada", "Barnes and Noble"),
    year=2023,
    venue="NeurIPS",
    url="https://example.org/a_b",
    doi="10.1000/a_b",
    tags=("graphs", "trees"),
    identifiers=("arXiv:2304.05659", "PMID:123"),
)


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(some=st.lists(papers(), max_size=3))
@example(
    some=[
        PLAIN,
        Paper.create("T", "A.", id="own", doi="10.1000/a", identifiers=("PMID:7",)),
        Paper.create("T", "A.", id="arXiv:2304.05659"),
    ]
)
def test_papers_come_back_as_they_were(form: str, some: list[Paper]) -> None:
    text = written(some, form)
    # Through bytes and the line ends that a text file has, as a file would go.
    stream = io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")
    assert list(READERS[form].read(stream, "f")) == some


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_of_them_is_known_by_its_content(form: str, tmp_path: Path) -> None:
    some = [PLAIN, Paper.create("T", "A.", id="own/1", extra={"n": [1, {"a": None}]})]
    path = tmp_path / "papers.unknown"
    path.write_text(written(some, form), encoding="utf-8")
    assert list(read_papers(path)) == some


def test_the_bundled_papers_need_no_field_but_the_id(tmp_path: Path) -> None:
    from index.bundled import bundled_papers

    some = list(bundled_papers())
    for form, mark in (("bib", "citewell-exact"), ("ris", "citewell-exact")):
        text = written(some, form)
        assert text.count(mark) <= len(some) / 50
        path = tmp_path / f"p.{form}"
        path.write_text(text, encoding="utf-8")
        assert list(read_papers(path)) == some


def test_bibtex_as_a_person_would_write_it() -> None:
    assert written([PLAIN], "bib") == (
        "@article{lovelace2023graphs,\n"
        "  title = {{On 50\\% of \\textbraceleft{}Graphs\\textbraceright{} \\& Trees}},\n"
        "  author = {Lovelace, Ada and {Barnes and Noble}},\n"
        "  year = {2023},\n"
        "  journal = {NeurIPS},\n"
        "  doi = {10.1000/a_b},\n"
        "  url = {https://example.org/a_b},\n"
        "  abstract = {We ask of what use x\\_1 is. It is of none.},\n"
        "  eprint = {2304.05659},\n"
        "  archiveprefix = {arXiv},\n"
        "  keywords = {graphs, trees},\n"
        "  pmid = {123},\n"
        "  citewell-id = {doi:10.1000/a\\_b},\n"
        "}\n\n"
    )


def test_ris_as_a_person_would_write_it() -> None:
    assert written([PLAIN], "ris").splitlines() == [
        "TY  - JOUR",
        "TI  - On 50% of {Graphs} & Trees",
        "AU  - Lovelace, Ada",
        "AU  - Barnes and Noble",
        "PY  - 2023",
        "T2  - NeurIPS",
        "DO  - 10.1000/a_b",
        "AN  - arxiv:2304.05659",
        "AN  - pmid:123",
        "UR  - https://example.org/a_b",
        "KW  - graphs",
        "KW  - trees",
        "AB  - We ask of what use x_1 is. It is of none.",
        "C7  - citewell-id: doi:10.1000/a_b",
        "ER  - ",
        "",
    ]


def test_jsonl_has_the_fields_by_name() -> None:
    record = json.loads(written([Paper.create("T", "É.", id="own")], "jsonl"))
    assert record == {"id": "own", "title": "T", "abstract": "É.", "extra": {}}


@given(st.lists(papers(), max_size=4))
def test_bibtex_keys_are_distinct_and_braces_add_up(some: list[Paper]) -> None:
    text = written(some, "bib")
    keys = re.findall(r"^@\w+\{(.*),$", text, flags=re.M)
    assert len(keys) == len(set(keys)) == len(some)
    depth = 0
    for sign in re.findall(r"[{}]", text):
        depth += 1 if sign == "{" else -1
        assert depth >= 0
    assert depth == 0


def test_an_extra_that_bibtex_knows_is_a_field_of_it() -> None:
    paper = Paper.create("T", "A.", extra={"pages": "1-3", "volume": "7", "key": "k1", "score": 0.5})
    text = written([paper], "bib")
    assert "  pages = {1-3},\n" in text
    assert r'citewell-exact = {\textbraceleft{}"extra": \textbraceleft{}"key": "k1", "score": 0.5' in text


def test_a_document_that_cites_gets_no_field_of_ours() -> None:
    assert "citewell" not in citations([replace(PLAIN, id="own", extra={"a": 1})])


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ValueError, match="'xml' is no format that can be written; those are bib, ris, jsonl"):
        write_papers([], io.StringIO(), "xml")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", ["{", "[]", '{"colour": 1}', '{"extra": 1}', '{"year": "x"}', r'{"id": "\ud800"}', '{"title": 3}']
)
def test_a_field_of_ours_that_was_damaged_is_reported(value: str) -> None:
    escaped = (
        value.replace("{", r"\textbraceleft{}").replace("}", r"\textbraceright{}").replace("\\u", r"\textbackslash{}u")
    )
    bib = f"@misc{{k, title={{T}}, abstract={{A.}}, citewell-id={{own}}, citewell-exact={{{escaped}}}}}\n"
    tagged = f"TY  - JOUR\nTI  - T\nAB  - A.\nC7  - citewell-id: own\nC8  - citewell-exact: {value}\nER  - \n"
    for reader, text in ((bibtex, bib), (ris, tagged)):
        (record,) = reader.read(io.StringIO(text), "f")
        assert not isinstance(record, Paper), reader
