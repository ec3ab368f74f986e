"""Rows: what is written is read back equal, hangs together, and is gone when it is deleted; damage is noticed."""

import sqlite3

import numpy as np
import pytest
from fakes import DIMENSION, HashEncoder
from hypothesis import given
from hypothesis import strategies as st

from index import database, rows
from index.computing import PassageSettings
from index.database import Database
from index.errors import IndexCorruptError
from index.identity import recognised_by
from index.paper import Paper
from index.rows import Computed, Record
from index.store import manifest

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
name = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
texts = st.lists(text, max_size=3).map(tuple)
any_paper = st.builds(
    Paper,
    name,
    text,
    text,
    texts,
    st.none() | st.integers(-(2**62), 2**62),
    text,
    text,
    text,
    texts,
    st.dictionaries(st.text(max_size=4), json_values, max_size=3),
    st.lists(name, max_size=3).map(tuple),
)


def made(folder):
    database.create(folder, manifest(HashEncoder(), PassageSettings(256)))
    return Database(folder)


@pytest.fixture
def opened(memory_path):
    return made(memory_path)


@pytest.fixture
def db(opened):
    with opened.connection() as connection:
        yield connection


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return made(tmp_path_factory.mktemp("rows"))


def computed(seed, passages=1, sentences=2):
    vectors = HashEncoder().embed_queries([f"{seed} {n}" for n in range(passages + sentences)]).astype(np.float16)
    return Computed(
        tuple((n, n + 1) for n in range(sentences)),
        vectors[passages:],
        tuple((n, n + 2) for n in range(passages)),
        vectors[:passages],
    )


def write(db, paper, passages=1):
    key = rows.insert_paper(db, paper, recognised_by(paper))
    rows.write_records(db, key, paper, [Record(rows.source_key(db, "a.bib"), 0, paper)])
    rows.write_computed(db, key, paper, computed(paper.id, passages))
    return key


def passage_keys(db):
    return [key for keys, _, _ in rows.iter_passages(db, -1, DIMENSION) for key in keys.tolist()]


@given(paper=any_paper)
def test_any_paper_and_what_is_said_of_it_is_read_back_equal(shared, paper):
    with shared.connection() as db:
        db.execute("BEGIN")
        key = write(db, paper)
        assert rows.read_paper(db, key) == rows.as_stored(paper) == paper
        assert rows.load_papers(db, [key], DIMENSION)[key].paper == paper
        assert list(rows.iter_papers(db, "1", [])) == [paper]
        other = Paper(paper.id + "x", paper.title + "x", paper.abstract, year=1)
        said = [Record(1, 0, paper), Record(1, 1, other), Record(2, 0, paper)]
        rows.source_key(db, "b.bib")
        rows.write_records(db, key, paper, said)
        assert rows.read_records(db, key, paper) == said
        assert set(rows.names_of(db, key)) == set(recognised_by(paper))
        for each in recognised_by(paper):
            assert rows.find_names(db, [each]) == [(each, key)]
        db.execute("ROLLBACK")


def test_vectors_are_read_back_as_they_were_written(db):
    key = write(db, Paper("a", "T", "A"), passages=3)
    wanted = computed("a", 3)
    stored = rows.load_papers(db, [key, 99], DIMENSION)
    assert stored.keys() == {key}
    np.testing.assert_array_equal(stored[key].passage_vectors, wanted.passage_vectors.astype(np.float32))
    np.testing.assert_array_equal(stored[key].sentence_vectors, wanted.sentence_vectors.astype(np.float32))
    assert stored[key].sentences == wanted.sentences
    assert stored[key].passage_vectors.dtype == np.float32


def equal(one, other):
    assert (one.sentences, one.passages) == (other.sentences, other.passages)
    np.testing.assert_array_equal(one.sentence_vectors, other.sentence_vectors)
    np.testing.assert_array_equal(one.passage_vectors, other.passage_vectors)
    return True


def test_what_was_computed_for_a_text_is_found_again_also_after_it_is_gone(db):
    paper = Paper("a", "T", "A")
    key, digest = write(db, paper, passages=2), rows.text_digest(paper)
    assert digest == rows.digest_of("T", "A") != rows.digest_of("T", "B") != rows.digest_of("TA", "")
    assert equal(rows.find_computed(db, digest, DIMENSION), computed("a", 2))
    rows.delete_papers(db, [key])
    assert rows.read_paper(db, key) is None
    assert equal(rows.find_computed(db, digest, DIMENSION), computed("a", 2))
    rows.forget_spare(db)
    assert rows.find_computed(db, digest, DIMENSION) is None


def test_only_the_latest_texts_that_are_gone_are_kept(db, monkeypatch):
    monkeypatch.setattr(rows, "MAX_SPARE_TEXTS", 2)
    papers = [Paper(f"id{n}", f"T{n}", "A") for n in range(4)]
    keys = [write(db, paper) for paper in papers]
    for key in keys:
        rows.delete_papers(db, [key])
    known = [rows.find_computed(db, rows.text_digest(paper), DIMENSION) is not None for paper in papers]
    assert known == [False, False, True, True]


def test_keys_are_never_used_again_not_even_the_highest(db):
    first = write(db, Paper("a", "T", "A"))
    old = passage_keys(db)
    rows.delete_papers(db, [first])
    again = write(db, Paper("a", "T", "A"))
    assert again > first
    assert min(passage_keys(db)) > max(old)


def test_overwriting_what_was_computed_keeps_the_paper_and_renews_its_passages(db):
    key = write(db, Paper("a", "T", "A"), passages=2)
    old = passage_keys(db)
    rows.write_computed(db, key, Paper("a", "T", "B"), computed("b", 1))
    assert len(passage_keys(db)) == 1
    assert not set(old) & set(passage_keys(db))
    assert rows.removed_passages(db, -1).tolist() == old


def test_deleting_a_paper_deletes_all_that_hangs_on_it_and_notes_it(db):
    gone = write(db, Paper("a", "T", "A", ("Ada", "Bo"), 2000, "V", tags=("x", "y")), passages=2)
    kept = write(db, Paper("b", "T", "B", ("Ada",), tags=("x",)))
    generation = database.read_generation(db)
    old = passage_keys(db)
    rows.delete_papers(db, [gone, 999])
    for table in ("names", "records", "paper_facets", "embeddings", "passages"):
        assert {row[0] for row in db.execute(f"SELECT paper FROM {table}")} == {kept}, table
    assert db.execute("SELECT field, value FROM facets ORDER BY field").fetchall() == [("author", "ada"), ("tag", "x")]
    assert db.execute("SELECT count(*) FROM facet_parts WHERE facet_parts MATCH 'ada'").fetchone() == (1,)
    assert rows.removed_passages(db, generation).tolist() == old[:2]
    assert rows.removed_passages(db, generation + 1).tolist() == []
    assert rows.changed_papers(db, generation) == ([kept], [gone])
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.execute("INSERT INTO facet_parts(facet_parts, rank) VALUES ('integrity-check', 1)")


def test_a_paper_has_changed_only_when_its_text_has(opened):
    paper = Paper("a", "T", "A")
    with opened.writing() as db:
        key = write(db, paper)
        generation = database.read_generation(db) + 1
    with opened.writing() as db:
        rows.update_paper(db, key, Paper("a", "T", "A", ("Ada",), 2000), ["a"])
    with opened.reading() as db:
        assert rows.changed_papers(db, generation) == ([], [])
        assert rows.changed_papers(db, generation - 1) == ([key], [])
        assert rows.names_of(db, key) == ["a"]
        assert rows.read_paper(db, key).year == 2000
    with opened.writing() as db:
        rows.update_paper(db, key, Paper("a", "T", "B"), ["a"])
    with opened.reading() as db:
        assert rows.changed_papers(db, generation) == ([key], [])


def test_a_source_is_noted_once_by_its_path(db):
    first = rows.source_key(db, "Lists/Refs.BIB")
    assert rows.source_key(db, "Lists/Refs.BIB") == first != rows.source_key(db, "lists/refs.bib")
    rows.source_key(db, r"C:\data\x.csv")
    rows.source_key(db, "papers")
    assert [row[0] for row in db.execute("SELECT name FROM sources ORDER BY key")] == [
        "refs.bib", "refs.bib", "x.csv", "papers",
    ]  # fmt: skip


def test_a_paper_is_found_by_its_id_before_anothers_name(db):
    write(db, Paper("one", "T", "A", identifiers=("two",)))
    second = write(db, Paper("two", "U", "A"))
    assert rows.find_key(db, "two") == second
    assert rows.find_key(db, "") is rows.find_key(db, "  ") is rows.find_key(db, "three") is None


def test_passages_are_read_in_order_and_in_parts(db):
    keys = [write(db, Paper(f"id{n}", f"T{n}", "A"), passages=3) for n in range(5)]
    for size in (1, 4, 100):
        chunks = list(rows.iter_passages(db, -1, DIMENSION, size))
        assert max(len(chunk[0]) for chunk in chunks) <= size
        assert [k for _, papers, _ in chunks for k in papers.tolist()] == [key for key in keys for _ in range(3)]
        vectors = np.concatenate([v for _, _, v in chunks])
        np.testing.assert_array_equal(
            vectors, np.concatenate([computed(f"id{n}", 3).passage_vectors for n in range(5)])
        )
    all_keys = passage_keys(db)
    assert [k for ks, _, _ in rows.iter_passages(db, all_keys[6], DIMENSION) for k in ks.tolist()] == all_keys[7:]


def test_terms_are_stored_and_can_be_made_anew(db):
    key = write(db, Paper("a", "Graphs", "Whales sing."))
    terms = [(key, "graph whale sing")]
    assert list(rows.iter_terms(db, None)) == list(rows.iter_terms(db, [key, 99])) == terms
    assert rows.load_papers(db, [key], DIMENSION)[key].terms == {"graph", "whale", "sing"}
    db.execute("UPDATE embeddings SET terms = ''")
    rows.renew_terms(db, rows.iter_texts(db))
    assert list(rows.iter_terms(db, None)) == terms


@pytest.mark.parametrize("papers", [0, 1, 30])
def test_titles_are_drawn_from_the_papers_that_are_there(db, papers):
    keys = [write(db, Paper(f"id{n}", f"T{n}", "A")) for n in range(papers)]
    rows.delete_papers(db, keys[1:10])
    drawn = rows.sample_titles(db, 50)
    assert len(drawn) == (50 if papers else 0)
    assert set(drawn) <= {f"T{n}" for n in range(papers) if not 1 <= n < 10}
    assert drawn == rows.sample_titles(db, 50)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (Paper("a", "\ud800", "A"), "surrogates"),
        (Paper("a", "T", "A", ("\udfff",)), "surrogates"),
        (Paper("a", "T", "A", extra={"x": {1}}), "not JSON serializable"),
        (Paper("a", "T", "A", extra={"x": float}), "not JSON serializable"),
        (Paper("a", "T", "A", year=2**63), "the year is"),
        (Paper("a", "T", "A", year="2020"), "the year is '2020'"),
        (Paper("a\0b", "T", "A"), "NUL"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_the_reason(bad, why):
    with pytest.raises(ValueError, match=why):
        rows.as_stored(bad)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE embeddings SET sentences = '[[0'",
        "UPDATE embeddings SET sentences = '3'",
        "UPDATE embeddings SET vectors = x'00'",
        "UPDATE papers SET extra = 'x'",
        "UPDATE papers SET extra = '[]'",
        "UPDATE papers SET authors = '{}'",
        "UPDATE papers SET title = CAST(x'ff' AS TEXT)",
        "UPDATE passages SET vector = x'000000'",
    ],
)
def test_a_row_that_cannot_be_read_is_corruption(opened, damage):
    def load():
        with opened.connection() as db:
            rows.load_papers(db, [key], DIMENSION)

    with opened.writing() as db:
        key = write(db, Paper("a", "T", "A"))
        db.execute(damage)
    with pytest.raises(IndexCorruptError, match="damaged"):
        load()


@pytest.mark.parametrize("damage", ["x''", "x'00'", f"zeroblob({4 * DIMENSION})"])
def test_a_vector_of_another_length_is_never_read_as_those_beside_it(opened, damage):
    with opened.writing() as db:
        for n in range(2):
            write(db, Paper(f"id{n}", f"T{n}", "A"))
        db.execute(f"UPDATE passages SET vector = {damage}")
        db.execute(f"UPDATE passages SET vector = zeroblob({4 * DIMENSION}) WHERE key = 2 AND {damage} = x''")

    def read():
        with opened.reading() as db:
            list(rows.iter_passages(db, -1, DIMENSION))

    with pytest.raises(IndexCorruptError, match=f"does not have {DIMENSION} numbers"):
        read()


def test_a_record_that_cannot_be_read_is_corruption(db):
    key = write(db, Paper("a", "T", "A"))
    for fields in ("[", "[1]", "{}"):
        db.execute("UPDATE records SET fields = ?", (fields,))
        with pytest.raises(sqlite3.DatabaseError):
            rows.read_records(db, key, Paper("a", "T", "A"))


def test_a_paper_without_passages_is_not_found_and_breaks_nothing(db):
    """As after damage; the examination names it."""
    key = write(db, Paper("a", "T", "A"))
    db.execute("DELETE FROM passages")
    assert rows.load_papers(db, [key], DIMENSION) == {}
