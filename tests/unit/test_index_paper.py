"""Papers: what gets cleaned, what is refused, and when two records are the same paper."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.paper import Paper, normalised_title, paper_id


@pytest.mark.parametrize(
    ("given_id", "expected"),
    [
        ("2304.05659", "arxiv:2304.05659"),
        ("2304.05659v12", "arxiv:2304.05659"),
        ("arXiv:2304.05659v2", "arxiv:2304.05659"),
        ("ARXIV: 2304.05659", "arxiv:2304.05659"),
        ("arxiv:2304.05659", "arxiv:2304.05659"),
        ("http://arxiv.org/abs/2304.05659v1", "arxiv:2304.05659"),
        ("https://www.arxiv.org/pdf/2304.05659v2.pdf", "arxiv:2304.05659"),
        ("https://export.arxiv.org/abs/0704.0001/", "arxiv:0704.0001"),
        ("10.48550/arXiv.2304.05659", "arxiv:2304.05659"),
        ("https://doi.org/10.48550/ARXIV.2304.05659", "arxiv:2304.05659"),
        ("hep-th/9901001v3", "arxiv:hep-th/9901001"),
        ("math.GT/0309136", "arxiv:math/0309136"),
        ("math/0309136", "arxiv:math/0309136"),
        ("10.1145/3292500.3330701", "doi:10.1145/3292500.3330701"),
        ("https://doi.org/10.1145/ABC.Def", "doi:10.1145/abc.def"),
        ("http://dx.doi.org/10.1145/ABC.Def", "doi:10.1145/abc.def"),
        ("DOI: 10.1145/ABC.Def", "doi:10.1145/abc.def"),
        ("PMID: 123456", "pmid:123456"),
        ("  my-own-key ", "my-own-key"),
        ("W2741809807", "W2741809807"),
    ],
)
def test_one_id_however_it_is_written(given_id: str, expected: str) -> None:
    assert paper_id(given_id, title="T") == expected
    assert paper_id(expected) == expected


def test_the_source_of_the_id_in_order() -> None:
    known = {"doi": "https://doi.org/10.1/X", "url": "https://arxiv.org/abs/2304.05659v2", "title": "T"}
    assert paper_id("key", **known) == "key"
    assert paper_id(doi="10.1145/X", url=known["url"], title="T") == "doi:10.1145/x"
    assert paper_id(url=known["url"], title="T") == "arxiv:2304.05659"
    assert paper_id(url="https://example.org/2304.05659", title="T") == paper_id(title="T")


def test_a_doi_that_is_none_does_not_make_papers_equal() -> None:
    assert paper_id(doi="n/a", title="One") == paper_id(title="One") != paper_id(doi="n/a", title="Two")


def test_title_ids() -> None:
    assert paper_id(title="RIFormer: Keep Your  Backbone") == paper_id(title="RIFORMER - keep your backbone!")
    assert paper_id(title="Gödel’s proof") == paper_id(title="Godel s proof")
    assert paper_id(title="线性代数") != paper_id(title="数学分析")
    assert paper_id(title="???") != paper_id(title="!!!")
    assert paper_id(title="A Study!") == "title:" + hashlib.sha256(b"a study").hexdigest()[:16]


@given(st.text())
def test_normalising_twice_changes_nothing(title: str) -> None:
    once = normalised_title(title)
    assert normalised_title(once) == once


def test_create_cleans_every_field() -> None:
    paper = Paper.create(
        " A  2times\nfaster net ",
        r"It is sim5\% better.",
        authors=("Ada  Lovelace", " ", "Kurt Go\u0308del"),
        year=2024,
        venue=" NeurIPS\n2024",
        url=" https://example.org/x ",
        doi="https://doi.org/10.1145/ABC",
        tags=("cs.CL ", ""),
        extra={"stars": 3},
    )
    assert paper == Paper(
        id="doi:10.1145/abc",
        title="A 2× faster net",
        abstract="It is ~5% better.",
        authors=("Ada Lovelace", "Kurt Gödel"),
        year=2024,
        venue="NeurIPS 2024",
        url="https://example.org/x",
        doi="10.1145/ABC",
        tags=("cs.CL",),
        extra={"stars": 3},
    )


@pytest.mark.parametrize(("title", "abstract", "field"), [("\u200b ", "a", "title"), ("t", " \n", "abstract")])
def test_create_refuses_empty_fields(title: str, abstract: str, field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field} is empty"):
        Paper.create(title, abstract)


@pytest.mark.parametrize(
    ("title", "short"),
    [
        ("RIFormer: Keep Your Backbone", "RIFormer"),
        ("No colon here", "No colon here"),
        ("x" * 61 + ": y", "x" * 61 + ": y"),
    ],
)
def test_short_title(title: str, short: str) -> None:
    assert Paper.create(title, "a").short_title == short


def test_a_text_too_long_to_be_an_abstract_is_refused() -> None:
    assert len(Paper.create("T", "x" * 100_000).abstract) == 100_000
    with pytest.raises(ValueError, match=r"^abstract has 100,001 characters"):
        Paper.create("T", "x" * 100_001)
    with pytest.raises(ValueError, match=r"^title has"):
        Paper.create("x" * 100_001, "A")
