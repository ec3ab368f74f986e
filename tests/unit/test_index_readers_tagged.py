"""Reading RIS and nbib: tags, lines that go on, and what a lost line costs."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.paper import Paper
from index.readers import Rejected, nbib, opening, ris

RIS = "TY  - JOUR\nTI  - Title {n}\nAB  - Abstract {n}.\nER  - \n"
NBIB = "PMID- {n}\nTI  - Title {n}\nAB  - Abstract {n}.\n\n"


@pytest.mark.parametrize(("reader", "template"), [(ris, RIS), (nbib, NBIB)], ids=["RIS", "nbib"])
@given(record=st.integers(0, 9), line=st.integers(0, 3), doubled=st.booleans())
def test_a_line_lost_or_doubled_costs_two_records_at_most(
    reader: object, template: str, record: int, line: int, doubled: bool
) -> None:
    records = [template.replace("{n}", str(n)).splitlines(keepends=True) for n in range(1, 11)]
    records[record][line : line + 1] = [records[record][line]] * 2 if doubled else []
    text = "".join(line for lines in records for line in lines)
    found = list(reader.read(io.StringIO(text), "f"))  # type: ignore[attr-defined]
    papers = {paper.title: paper.abstract for paper in found if isinstance(paper, Paper)}
    assert len(papers) >= 8
    # Never the abstract of another paper, but for a doubled line, which repeats itself.
    assert all(text.startswith(f"Abstract {title.removeprefix('Title ')}.") for title, text in papers.items())


@pytest.mark.parametrize(
    ("tags", "attribute", "value"),
    [
        ("A1  - Doe, J\nAU  - Roe, R\n", "authors", ("Doe, J", "Roe, R")),
        ("Y1  - 2001/05/01\n", "year", 2001),
        ("DA  - 2001\n", "year", 2001),
        ("PY  - 2002\nY1  - 2001\n", "year", 2002),
        ("T2  - B\nJO  - A\nJF  - C\n", "venue", "C"),
        ("AN  - 123\nDP  - PubMed\n", "id", "pmid:123"),
        ("AN  - PMID: 123\n", "id", "pmid:123"),
        ("AN  - 123\nDB  - Scopus\n", "extra", {"type": "JOUR", "accession number": "123", "database": "Scopus"}),
        ("M1  - arXiv:2304.05659\n", "id", "arxiv:2304.05659"),
        ("UR  - https://arxiv.org/abs/2304.05659\n", "year", 2023),
        ("KW  - a b\nKW  - c\n", "tags", ("a b", "c")),
        ("XY  - odd\n", "extra", {"type": "JOUR", "XY": "odd"}),
        ("KW  -\n", "tags", ()),
    ],
)
def test_ris_fields(tags: str, attribute: str, value: object) -> None:
    (paper,) = ris.read(io.StringIO(f"TY  - JOUR\nTI  - T\nAB  - A.\n{tags}ER  -\n"), "f")
    assert getattr(paper, attribute) == value


def test_a_record_longer_than_any_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_LINE_CHARS", 1000)
    text = (
        RIS.replace("{n}", "1") + "TY  - JOUR\nTI  - T\n" + "AB  - more\n" * 1000 + "ER  - \n" + RIS.replace("{n}", "3")
    )
    first, reject, last = ris.read(io.StringIO(text), "f")
    assert isinstance(first, Paper)
    assert isinstance(last, Paper)
    assert reject == Rejected("f:5", "record", "the record has more than 1,000 characters")


def test_an_indented_line_of_nbib_is_text_whatever_it_looks_like() -> None:
    (paper,) = nbib.read(io.StringIO("PMID- 1\nTI  - T\nAB  - We took\n      DNA - and RNA.\nDP  - 2001\n"), "f")
    assert isinstance(paper, Paper)
    assert (paper.abstract, paper.year) == ("We took DNA - and RNA.", 2001)
