"""Which records are one paper, and what they say together: by rule, and by rules that must hold for any records."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.identity import combine, conflict, is_title_name, recognised_by
from index.paper import Paper


def paper(*names, **fields):
    title, abstract = fields.pop("title", "A title"), fields.pop("abstract", "An abstract.")
    return Paper.create(title, abstract, id=names[0] if names else "", identifiers=names[1:], **fields)


def title_name(record):
    (name,) = [name for name in recognised_by(record) if is_title_name(name)]
    return name


def test_a_record_is_recognised_by_its_ids_and_its_title():
    record = paper("10.1000/A", "arXiv:2401.00001v2", authors=("Ada Lovelace",))
    assert recognised_by(record) == ("doi:10.1000/a", "arxiv:2401.00001", title_name(record))
    assert recognised_by(paper()) == (paper().id,)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (("Attention, please!", ("Ada Lovelace",)), ("attention  PLEASE", ("Lovelace, A.", "B. Li")), True),
        (("Attention", ("Lovelace AB",)), ("Attention", ("Ada LOVELACE",)), True),
        (("Café", ("Ada Çelik",)), ("Cafe\u0301", ("A. Celik",)), True),
        (("Attention", ("Ada Lovelace",)), ("Attention", ("Bo Li", "Ada Lovelace")), False),
        (("Attention", ("Ada Lovelace",)), ("Attention", ()), False),
        (("Attention", ()), ("Attentions", ()), False),
        (("!?", ()), ("?!", ()), False),
    ],
)
def test_titles_are_one_in_any_spelling_and_by_one_first_author_only(one, other, equal):
    names = [title_name(paper(title=title, authors=authors)) for title, authors in (one, other)]
    assert (names[0] == names[1]) == equal


@pytest.mark.parametrize(
    ("names", "others", "apart"),
    [
        (["doi:10.1000/a"], ["doi:10.1000/b"], True),
        (["doi:10.1000/a"], ["doi:10.1000/a"], False),
        (["doi:10.1000/a", "doi:10.1000/c"], ["doi:10.1000/b", "doi:10.1000/c"], False),
        (["doi:10.1000/a"], ["arxiv:2401.00001"], False),
        (["pmid:1"], ["pmid:2"], True),
        (["own-1"], ["own-2"], True),
        (["own-1"], ["doi:10.1000/b"], False),
        (["doi:10.1000/a", "pmid:1"], ["doi:10.1000/a", "pmid:2"], True),
        (["title:1"], ["title:2"], False),
        ([], ["doi:10.1000/b"], False),
    ],
)
def test_two_ids_of_one_kind_tell_papers_of_one_title_apart(names, others, apart):
    assert conflict(names, others) == conflict(others, names) == apart


def test_what_one_record_says_is_kept_as_it_is_under_the_papers_id():
    record = paper("arxiv:2401.00001", tags=("a", "a"), extra={"x": 1}, year=2020)
    combined = combine("doi:10.1000/a", [record])
    assert combined.id == "doi:10.1000/a"
    assert combined.identifiers == ("arxiv:2401.00001",)
    assert (combined.tags, combined.extra, combined.year) == (("a", "a"), {"x": 1}, 2020)


def test_several_records_are_combined_field_by_field():
    first = paper("doi:10.1000/a", title="The first title", abstract="Short.", authors=("A", "B"), tags=("x",),
                  extra={"n": 1, "m": None})  # fmt: skip
    second = paper("arxiv:2401.00001", title="THE FIRST TITLE", abstract="A longer abstract.", authors=("C", "D", "E"),
                   year=2021, venue="V", tags=("y", "x"), extra={"n": 2, "k": 3})  # fmt: skip
    third = paper("own", abstract="As long, abstract.", authors=("F", "G", "H"), year=2022, venue="W", url="https://u.v",
                  doi="10.1000/other")  # fmt: skip
    assert combine("doi:10.1000/a", [first, second, third]) == Paper(
        id="doi:10.1000/a",
        title="The first title",
        abstract="A longer abstract.",  # the earlier of two that are equally long
        authors=("C", "D", "E"),
        year=2021,
        venue="V",
        url="https://u.v",
        doi="10.1000/other",
        tags=("x", "y"),
        extra={"n": 1, "m": None, "k": 3},
        identifiers=("arxiv:2401.00001", "own", "doi:10.1000/other"),
    )


def test_a_papers_own_id_and_its_title_are_no_other_identifiers():
    records = [paper(), paper("doi:10.1000/a")]
    assert combine(paper().id, records).identifiers == ("doi:10.1000/a",)
    assert combine("doi:10.1000/a", records).identifiers == ()


some_records = st.lists(
    st.builds(
        Paper,
        id=st.sampled_from(["doi:10.1/a", "arxiv:1", "own", "title:x"]),
        title=st.sampled_from(["One", "Two"]),
        abstract=st.sampled_from(["a", "bb", "cc", "ddd"]),
        authors=st.lists(st.sampled_from("AB"), max_size=2).map(tuple),
        year=st.sampled_from([None, 1, 2]),
        venue=st.sampled_from(["", "V", "W"]),
        tags=st.lists(st.sampled_from("xy"), max_size=2).map(tuple),
        extra=st.dictionaries(st.sampled_from("kl"), st.integers(0, 1)),
        identifiers=st.lists(st.sampled_from(["pmid:1", "own2"]), max_size=2, unique=True).map(tuple),
    ),
    min_size=1,
    max_size=4,
)


@given(some_records)
def test_a_combination_loses_nothing_and_makes_nothing_up(records):
    combined = combine("own", records)
    assert set(combined.tags) == {tag for record in records for tag in record.tags}
    assert {"own", *combined.identifiers} == {"own"} | {n for r in records for n in r.names if not is_title_name(n)}
    assert len(combined.abstract) == max(len(record.abstract) for record in records)
    assert len(combined.authors) == max(len(record.authors) for record in records)
    for name in ("title", "abstract", "authors", "year", "venue"):
        assert getattr(combined, name) in [getattr(record, name) for record in records]
    assert combined.title == records[0].title
    assert (combined.year is None) == all(record.year is None for record in records)


@given(some_records)
def test_saying_the_same_again_at_the_end_changes_nothing(records):
    combined = combine("own", records)
    for record in records:
        again = combine("own", [*records, record])
        assert again == combined or len(records) == 1  # of a single record, tags that come twice are kept


@given(some_records)
def test_the_order_of_records_decides_only_between_equals(records):
    for order in itertools.permutations(records):
        combined, other = combine("own", records), combine("own", order)
        assert len(combined.abstract) == len(other.abstract)
        assert set(combined.tags) == set(other.tags)
        assert set(combined.identifiers) == set(other.identifiers)
        assert combined.extra.keys() == other.extra.keys()
