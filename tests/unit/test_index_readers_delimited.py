"""Reading tables: the header, the delimiter, quotes, and what a lost quote costs."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.errors import CorpusError
from index.paper import Paper
from index.readers import Rejected, delimited


def read(text: str) -> list[Paper | Rejected]:
    return list(delimited.read(io.StringIO(text, newline=None), "f"))


def table(rows: list[list[str]], **options: Any) -> str:
    stream = io.StringIO()
    csv.writer(stream, **options).writerows(rows)
    return stream.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=40)), max_size=4))
def test_any_table_is_read(delimiter: str, pairs: list[tuple[str, str]]) -> None:
    pairs = [("T", "A."), *((f"x{title}", f"x{text}") for title, text in pairs)]
    text = table([["Title", "Abstract"], *map(list, pairs)], delimiter=delimiter, quoting=csv.QUOTE_ALL)
    found = [(paper.title, paper.abstract) for paper in read(text) if isinstance(paper, Paper)]
    # Line ends and tags within a cell are white space, as everywhere in abstracts.
    assert len(found) == len(pairs)
    assert found[0] == ("T", "A.")


@given(st.integers(1, 9), st.integers(0, 5))
def test_losing_any_one_quote_costs_one_row(row: int, quote: int) -> None:
    lines = table([["title", "abstract", "year"], *([f"T{n}", f"A {n}.", "2000"] for n in range(1, 10))],
                  quoting=csv.QUOTE_ALL).splitlines(keepends=True)  # fmt: skip
    places = [place for place, sign in enumerate(lines[row]) if sign == '"']
    lines[row] = lines[row][: places[quote]] + lines[row][places[quote] + 1 :]
    titles = {record.title for record in read("".join(lines)) if isinstance(record, Paper)}
    # A row that opens without its quote still reads as a row of three cells, one of them with a quote in it.
    assert {f"T{n}" for n in range(1, 10) if n != row} <= titles


@pytest.mark.parametrize(
    ("head", "known"),
    [
        ("Title,Abstract\n", True),
        ("sep=;\nTitle;Abstract\n", True),
        ('"TITLE"\t"Abstract Note"\n', True),
        ("Title\n", False),
        ("Title, a story\nof two lines\n", False),
        ("name,notes\n", False),
        ("title,colour\n", False),
    ],
)
def test_a_table_is_known_by_its_header(head: str, known: bool) -> None:
    assert delimited.sniff(head) == known


@pytest.mark.parametrize(
    ("row", "field", "why"),
    [
        ("T,A.,2000,more", "record", "the row has 4 cells, the header 3"),
        ("T", "abstract", "it has no abstract"),
        ('T,"A.', "record", "its quotes do not add up"),
        ('T,"A" b,2000', "record", "its quotes do not add up"),
        ("T,A.\udce9,2000", "record", "not UTF-8"),
        ("T,A.,20000", "year", "four digits"),
    ],
)
def test_a_broken_row_is_reported_and_the_rest_read(row: str, field: str, why: str) -> None:
    first, reject, last = read(f"title,abstract,year\nA,B.,2000\n{row}\nC,D.,2001\n")
    assert isinstance(reject, Rejected)
    assert (reject.where, reject.field) == ("f:3", field)
    assert why in reject.why
    assert [paper.title for paper in (first, last) if isinstance(paper, Paper)] == ["A", "C"]


def test_empty_rows_and_cells_are_passed_over() -> None:
    (paper,) = read("title,abstract,note\n\n,,\nT,A.,\nT2,,\n")[:1]
    assert isinstance(paper, Paper)
    assert (paper.title, paper.extra) == ("T", {})


def test_a_table_that_only_its_ending_names_must_have_the_columns() -> None:
    with pytest.raises(CorpusError, match="none of its columns is known to be the title: a, b; name it with --map"):
        delimited.check_columns("a,b\n1,2\n", {})
