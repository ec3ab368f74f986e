"""Filters: what is written is what is meant, in any script, and nothing in it is ever SQL."""

import sqlite3
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.filters import Where, fold, parse_where


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
        ("year>=2020 author:Chen venue:X tag:t id:i", Where(2020, None, ("X",), ("Chen",), ("t",), ("i",))),
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


@pytest.fixture
def db():
    connection = sqlite3.connect(":memory:")
    connection.create_function("fold", 1, fold, deterministic=True)
    connection.execute("CREATE TABLE papers (id, year, venue, authors, tags)")
    rows = [
        ("a", 2019, "Nature Methods", '["Ada Çelik", "B. Li"]', '["cs.LG"]'),
        ("b", 2021, "NeurIPS", '["José Núñez"]', '["cs", "stat.ML"]'),
        ("c", None, "", "[]", "[]"),
    ]
    connection.executemany("INSERT INTO papers VALUES (?, ?, ?, ?, ?)", rows)
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("year>=2019 year<=2021", "ab"),
        ("year>2019", "b"),
        ("author:çelik", "a"),
        ("author:NU\u0301N\u0303EZ", "b"),
        ("author:núñez", "b"),
        ("author:li author:jose\u0301", "ab"),
        ("venue:nature venue:neur", "ab"),
        ("tag:CS", "b"),
        ("tag:cs.lg", "a"),
        ("id:a id:c", "ac"),
        ("id:A", ""),
        ("year>=2019 author:li tag:cs", ""),
        ("author:%", ""),
        ("venue:_", ""),
    ],
)
def test_the_condition_selects(db, where, found):
    condition, parameters = parse_where(where).to_sql()
    rows = db.execute(f"SELECT id FROM papers WHERE {condition} ORDER BY id", parameters)
    assert "".join(row[0] for row in rows) == found


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_no_value_reaches_the_statement(value):
    condition, parameters = Where(venues=(value,), authors=(value,), tags=(value,), ids=(value,)).to_sql()
    assert condition == Where(venues=("x",), authors=("x",), tags=("x",), ids=("x",)).to_sql()[0]
    assert len(parameters) == condition.count("?")


def test_thousands_of_values_are_one_condition(db):
    many = tuple(f"x{n}" for n in range(5000))
    condition, parameters = Where(authors=(*many, "ada"), ids=(*many, "a"), venues=(*many, "n")).to_sql()
    assert [r[0] for r in db.execute(f"SELECT id FROM papers WHERE {condition}", parameters)] == ["a"]
