"""Filters: what is written is what is meant, in any script, and nothing in it is ever SQL."""

from contextlib import suppress

import oracle
import pytest
from fakes import HashEncoder
from hypothesis import given
from hypothesis import strategies as st

from index.filters import Where, fold, parse_where
from index.paper import Paper
from index.store import PaperStore


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("year>=2020", Where(year_from=2020)),
        ("year>2020", Where(year_from=2021)),
        ("year<=2020", Where(year_to=2020)),
        ("year<2020", Where(year_to=2019)),
        ("year=2020", Where(2020, 2020)),
        ("year:2020", Where(2020, 2020)),
        ("year >= 2020  year < 2024", Where(2020, 2023)),
        ("year>2018 year>=2021 year<2030 year<=2025", Where(2021, 2025)),
        ("year<=2020 year<0001", Where(year_to=0)),
        ("year=2020 year=2021", Where(2021, 2020)),
        ("author:Chen", Where(authors=("Chen",))),
        ("author:Chen author:Li", Where(authors=("Chen", "Li"))),
        ("author:O'Brien author:D'Arcy", Where(authors=("O'Brien", "D'Arcy"))),
        ('venue:"Nature Methods" tag:cs.LG', Where(venues=("Nature Methods",), tags=("cs.LG",))),
        ("venue:'Nature Methods'", Where(venues=("Nature Methods",))),
        ('venue:"Children\'s Health"', Where(venues=("Children's Health",))),
        ('venue:"year >= 2020 in review"', Where(venues=("year >= 2020 in review",))),
        ("id:arxiv:2304.05659", Where(ids=("arxiv:2304.05659",))),
        ("id:doi:10.1000/a=b;c", Where(ids=("doi:10.1000/a=b;c",))),
        ("tag:a\\b", Where(tags=("a\\b",))),
        ("author:Müller\tauthor:王伟", Where(authors=("Müller", "王伟"))),
        ('source:refs.bib source:"my lists/b.csv"', Where(sources=("refs.bib", "my lists/b.csv"))),
        (
            "year>=2020 author:Chen venue:X tag:t id:i source:s",
            Where(2020, None, ("X",), ("Chen",), ("t",), ("i",), ("s",)),
        ),
    ],
)
def test_text_is_read(text, expected):
    assert parse_where(text) == expected


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ({"year": 2020}, Where(2020, 2020)),
        ({"year": (2020, None)}, Where(year_from=2020)),
        ({"year": [None, 2020]}, Where(year_to=2020)),
        ({"author": ["Chen", "Li"], "venue": "V"}, Where(authors=("Chen", "Li"), venues=("V",))),
        ({"tag": ("a",), "id": {"x": 1}.keys()}, Where(tags=("a",), ids=("x",))),
        ({"author": None, "year": None, "tag": "t"}, Where(tags=("t",))),
        ({"source": "a.bib", "id": ["x", "y"]}, Where(sources=("a.bib",), ids=("x", "y"))),
    ],
)
def test_a_mapping_is_read(mapping, expected):
    assert parse_where(mapping) == expected


@pytest.mark.parametrize("nothing", [None, "", "   ", {}, {"author": []}, {"year": (None, None)}])
def test_nothing_is_no_filter(nothing):
    assert parse_where(nothing) is None


def test_a_filter_passes_through():
    assert parse_where(Where(year_from=2000)) == Where(year_from=2000)


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ("author:Chen colour:red", "'colour:red'"),
        ("Chen", "'Chen'"),
        ("year>=20", "'year>=20'"),
        ("year>=20201", "'year>=20201'"),
        ("year=>2020", "'year=>2020'"),
        ("author:", "'author:'"),
        ('author:""', "'author:\"\"'"),
        ('author:Chen venue:"Nature Methods', "'venue:\"Nature'"),
        ('venue:"Nature"Methods', "'venue:\"Nature\"Methods'"),
        ({"colour": "red"}, "'colour'"),
        ({"year": "2020"}, "not '2020'"),
        ({"year": (2020,)}, r"not \(2020,\)"),
        ({"year": True}, "not True"),
        ({"year": 10**30}, "not 1000000"),
        ({"author": 5}, "author .* not 5"),
        ({"tag": [5]}, r"tag .* not \[5\]"),
        ({"venue": ""}, "venue .* not ''"),
        ({"id": ["a", " "]}, "id .* not"),
    ],
)
def test_an_error_names_the_bad_part(bad, named):
    with pytest.raises(ValueError, match=named):
        parse_where(bad)


values = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="\"'"), min_size=1, max_size=12)


@given(st.lists(values, max_size=3), st.lists(values, max_size=3), st.integers(1000, 9999))
def test_any_values_are_read_back_from_text(authors, tags, year):
    text = " ".join([*(f'author:"{a}"' for a in authors), f"year>={year}", *(f"tag:{t}" for t in tags)])
    assert parse_where(text) == Where(year_from=year, authors=tuple(authors), tags=tuple(tags))


@given(st.text(max_size=40))
def test_any_text_is_a_filter_or_a_value_error(text):
    with suppress(ValueError):
        condition, parameters = (parse_where(text) or Where()).to_sql()
        assert len(parameters) == condition.count("?")


@pytest.mark.parametrize(
    ("one", "other"),
    [("ÇELİK", "çeli̇k"), ("Weiß", "WEISS"), ("Müller", "MÜLLER"), ("José", "Jose\u0301"), ("ΣΊΣΥΦΟΣ", "σίσυφος")],
)
def test_spellings_of_one_name_are_equal(one, other):
    assert fold(one) == fold(other)


def test_an_accent_still_tells_names_apart():
    assert fold("Müller") != fold("Muller")


PAPERS = {
    "data/One.bib": [
        Paper.create("A", "Text a.", id="a", year=2019, venue="Nature Methods", authors=("Ada Çelik", "B. Li"),
                     tags=("cs.LG",), doi="10.1000/A"),
        Paper.create("B", "Text b.", id="b", year=2021, venue="NeurIPS", authors=("José Núñez",),
                     tags=("cs", "stat.ML"), identifiers=("arXiv:2401.00001v2",)),
    ],
    "data/two.csv": [
        Paper.create("B", "Text b.", id="b", tags=("Graph Theory",)),
        Paper.create("C", "Text c.", id="c"),
        Paper.create("D", "Text d.", id="d", year=2020, authors=("O'Brien, Bo", '"Quoted" Name', "王伟"),
                     venue="王 Letters"),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = PaperStore.open(tmp_path_factory.mktemp("filters") / "papers.idx", HashEncoder(), create=True)
    for source, papers in PAPERS.items():
        made.add(papers, source)
    return made


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("year>=2019 year<=2021", "abd"),
        ("year>2019", "bd"),
        ("year<2019", ""),
        ("year=2021 year=2019", ""),
        ("author:çelik", "a"),
        ("author:ELI", "a"),
        ("author:çe", "a"),
        ("author:NU\u0301N\u0303EZ", "b"),
        ("author:núñez", "b"),
        ("author:nunez", ""),
        ("author:li author:jose\u0301", "ab"),
        ("author:o'brien", "d"),
        ("author:王", "d"),
        ("author:王伟", "d"),
        ('author:"li ada"', ""),
        ("author:quoted", "d"),
        ("venue:nature venue:neur", "ab"),
        ("venue:nature author:li", "a"),
        ("venue:王", "d"),
        ("tag:CS", "b"),
        ("tag:cs.lg", "a"),
        ("tag:cs.l", ""),
        ('tag:"graph theory"', "b"),
        ("tag:stat.ml tag:cs.lg", "ab"),
        ("id:a id:c", "ac"),
        ("id:A", ""),
        ("id:10.1000/a", "a"),
        ("id:https://doi.org/10.1000/A", "a"),
        ("id:arxiv:2401.00001 id:absent", "b"),
        ("source:one.bib", "ab"),
        ("source:TWO.CSV", "bcd"),
        ("source:data/two.csv", "bcd"),
        ("source:DATA/two.csv", ""),
        ("source:two", ""),
        ("source:one.bib source:two.csv", "abcd"),
        ("source:one.bib tag:cs year>2000 author:ñez venue:ips id:b", "b"),
        ("year>=2019 author:li tag:cs", ""),
        ("author:%", ""),
        ("venue:_", ""),
        ("author:*", ""),
    ],
)
def test_a_filter_selects(store, where, found):
    selected = store.papers(parse_where(where))
    assert "".join(paper.id for paper in selected) == found
    vector = HashEncoder().embed_queries(["text"])[0]
    answer = store.candidates(vector, ["text"], 10, parse_where(where))
    for keys in (answer.by_meaning, answer.by_keyword):
        assert sorted(answer.papers[key].paper.id for key in keys) == list(found)


values_of_papers = st.sampled_from(
    ["Ada", "ada", "da ç", "B. Li", "Nú", "'", '"', '" name', "n", "王", "Nature", "e", "S"]
)
any_filter = st.builds(
    Where,
    st.sampled_from([None, 2019, 2020]),
    st.sampled_from([None, 2020]),
    *[st.lists(values_of_papers, max_size=3).map(tuple) for _ in range(2)],
    st.lists(st.sampled_from(["CS", "cs.lg", "stat", "graph THEORY"]), max_size=2).map(tuple),
    st.lists(st.sampled_from(["a", "b", "doi:10.1000/a", "absent"]), max_size=2).map(tuple),
    st.lists(st.sampled_from(["one.bib", "Two.csv", "data/two.csv", "data"]), max_size=2).map(tuple),
)


@given(any_filter)
def test_any_filter_selects_what_it_says(store, where):
    model = oracle.Collection()
    model.add([(source, paper) for source, papers in PAPERS.items() for paper in papers])
    assert store.papers(where) == model.papers(where)


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=3).map(tuple))
def test_any_text_may_be_looked_for(store, texts):
    for field in ("venues", "authors", "tags", "ids", "sources"):
        store.papers(Where(**{field: texts}))


@pytest.mark.parametrize(
    "text", ["\0", "li\0", "ad\0a", "\ud800", "\ud800ada", "Ada\0", '"', '""', '"" OR "ada"', "NEAR(ada)"]
)
def test_what_sql_does_not_know_as_text_is_found_nowhere(store, text):
    for field in ("venues", "authors", "tags", "ids", "sources"):
        found = store.papers(Where(**{field: (text,)}))
        assert [paper.id for paper in found] == ["d"] * (field == "authors" and text == '"')


def test_a_letter_is_a_letter_in_a_name_of_it(memory_path):
    """Each value with itself and its parts, of which the trigram index holds those of three letters and more."""
    names = ["a", "ab", "abc", 'a"b', "a'b", "%_*", "\\", "İstanbul", "Weiß", "\U0001f600 smile", "x" * 300, "a\0b"]
    made = PaperStore.open(memory_path / "papers.idx", HashEncoder(), create=True)
    made.add([Paper(f"id{n}", f"T{n}", "Text.", authors=(name,)) for n, name in enumerate(names)])
    for start, stop in ((None, None), (1, None), (None, -1), (1, 4)):
        for name in filter(None, (name[start:stop] for name in names)):
            found = {paper.authors[0] for paper in made.papers(Where(authors=(name,)))}
            assert found == {other for other in names if fold(name) in fold(other)}


def test_values_that_no_paper_has_any_more_are_gone(memory_path):
    made = PaperStore.open(memory_path / "papers.idx", HashEncoder(), create=True)
    made.add([Paper("a", "A", "Text.", authors=("Ada", "Bo"), tags=("x",)), Paper("b", "B", "Text.", authors=("Ada",))])
    made.add([Paper("a", "A", "Text.", authors=("Cy",))])
    assert [paper.id for paper in made.papers(Where(authors=("ada",)))] == ["b"]
    assert made.papers(Where(tags=("x",))) == made.papers(Where(authors=("bo",))) == []
    made.delete(["b"])
    assert made.papers(Where(authors=("ada",))) == []
    with made._database.reading() as db:
        assert db.execute("SELECT field, value FROM facets").fetchall() == [("author", "cy")]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=3))
def test_no_value_reaches_the_statement(value):
    where = Where(venues=(value,), authors=(value,), tags=(value,), ids=(value,), sources=(value,))
    condition, parameters = where.to_sql()
    other = Where(venues=("xxx",), authors=("xxx",), tags=("x",), ids=("x",), sources=("x",))
    assert condition == other.to_sql()[0]
    assert len(parameters) == condition.count("?")


def test_thousands_of_values_are_one_condition(store):
    many = tuple(f"x{n}" for n in range(5000))
    where = Where(authors=(*many, "ada"), ids=(*many, "a"), venues=(*many, "n"), tags=(*many, "cs.lg"),
                  sources=(*many, "one.bib"))  # fmt: skip
    assert [paper.id for paper in store.papers(where)] == ["a"]
