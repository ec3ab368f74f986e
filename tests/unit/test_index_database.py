"""The database: what is written is read back, and SQLite's errors become ours with a next step."""

import sqlite3

import numpy as np
import pytest
from fakes import DIMENSION, HashEncoder
from hypothesis import given
from hypothesis import strategies as st

from index import database
from index.errors import IndexCorruptError, IndexNotFoundError, IndexStoreError
from index.location import DATABASE_NAME, index_exists, not_found
from index.paper import Paper

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
any_paper = st.builds(
    Paper,
    text,
    text,
    text,
    st.lists(text, max_size=3).map(tuple),
    st.none() | st.integers(-(2**62), 2**62),
    text,
    text,
    text,
    st.lists(text, max_size=3).map(tuple),
    st.dictionaries(st.text(max_size=4), json_values, max_size=3),
)


@pytest.fixture
def db(tmp_path):
    database.create(tmp_path, HashEncoder())
    with database.connect(tmp_path / DATABASE_NAME) as connection:
        yield connection


def write(db, paper, key=None, passages=1):
    vectors = HashEncoder().embed_queries([f"{paper.id} {n}" for n in range(passages + 1)])
    rows = [(0, 1, vectors[n]) for n in range(passages)]
    return database.write_text(db, key, paper, {(0, 1): vectors[-1]}, rows)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("database")
    database.create(folder, HashEncoder())
    return folder


@given(paper=any_paper)
def test_any_paper_is_read_back_equal(shared_folder, paper):
    with database.connect(shared_folder / DATABASE_NAME) as db:
        db.execute("BEGIN")
        key = write(db, paper)
        assert database.find_paper(db, paper.id) == (key, paper)
        assert database.load_papers(db, [key], DIMENSION)[key].paper == paper
        assert database.as_stored(paper) == paper
        db.execute("ROLLBACK")


def test_vectors_are_read_back_as_the_nearest_half_precision_numbers(db):
    key = write(db, Paper("a", "T", "A"), passages=3)
    wanted = HashEncoder().embed_queries([f"a {n}" for n in range(4)]).astype(np.float16).astype(np.float32)
    stored = database.load_papers(db, [key, 99], DIMENSION)
    assert stored.keys() == {key}
    np.testing.assert_array_equal(stored[key].passage_vectors, wanted[:3])
    np.testing.assert_array_equal(stored[key].sentence_vectors, wanted[3:])
    assert stored[key].sentences == ((0, 1),)


def test_keys_are_never_used_again_not_even_the_highest(db):
    first = write(db, Paper("a", "T", "A"))
    old, _ = database.read_vectors(db, None, DIMENSION)
    assert database.delete_papers(db, ["a", "a", "absent"]) == [first]
    again = write(db, Paper("a", "T", "A"))
    new, _ = database.read_vectors(db, None, DIMENSION)
    assert again > first
    assert new.min() > old.max()


def test_overwriting_a_paper_keeps_its_key_and_renews_its_passages(db):
    key = write(db, Paper("a", "T", "A"), passages=2)
    old, _ = database.read_vectors(db, None, DIMENSION)
    assert write(db, Paper("a", "T", "B"), key) == key
    new, _ = database.read_vectors(db, None, DIMENSION)
    assert (len(old), len(new)) == (2, 1)
    assert not set(old.tolist()) & set(new.tolist())


def test_deleting_a_paper_deletes_its_passages(db):
    write(db, Paper("a", "T", "A"), passages=2)
    key = write(db, Paper("b", "T", "B"))
    database.delete_papers(db, ["a"])
    keys, _ = database.read_vectors(db, None, DIMENSION)
    assert database.passage_owners(db, keys) == {int(keys[0]): key}


def test_making_an_index_twice_changes_nothing(tmp_path, db):
    write(db, Paper("a", "T", "A"))
    database.create(tmp_path, HashEncoder())
    assert database.count_papers(db) == 1


def test_a_draft_that_was_left_behind_is_no_obstacle(tmp_path):
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"papers.sqlite.new{suffix}").write_bytes(b"left behind")
    database.create(tmp_path, HashEncoder())
    with database.connect(tmp_path / DATABASE_NAME) as db:
        assert database.count_papers(db) == 0


def test_two_indexes_have_no_generation_in_common(tmp_path):
    generations = []
    for name in ("one", "two"):
        database.create(tmp_path / name, HashEncoder())
        with database.connect(tmp_path / name / DATABASE_NAME) as db:
            generations.append(database.read_generation(db))
    assert not database.of_one_index(*generations)
    assert database.of_one_index(generations[0], generations[0] + 1_000_000)


@pytest.mark.parametrize("odd", ["a ?b=c", "100%25", "#x", "é ü"])
def test_a_folder_of_any_name_is_opened(tmp_path, odd):
    database.create(tmp_path / odd, HashEncoder())
    with database.connect(tmp_path / odd / DATABASE_NAME) as db:
        assert database.count_papers(db) == 0
    assert not [path for path in tmp_path.iterdir() if path.name != odd]


def test_connecting_never_makes_a_database(tmp_path):
    with pytest.raises(sqlite3.OperationalError), database.connect(tmp_path / DATABASE_NAME):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("statement", "error", "message"),
    [
        ("SELECT * FROM absent", IndexCorruptError, r"not a Citewell index.*Name another folder"),
        ("SELECT absent FROM papers", IndexCorruptError, r"not a Citewell index.*Name another folder"),
        ("INSERT INTO meta VALUES ('generation', '1')", IndexCorruptError, r"damaged.*backup"),
        ("UPDATE papers SET title = x'ff'", IndexStoreError, r"readonly.*unchanged.*free disk space"),
    ],
)
def test_errors_of_sqlite_become_ours(tmp_path, db, statement, error, message):
    if error is IndexStoreError:
        db.execute("PRAGMA query_only = 1")
    with pytest.raises(error, match=message), database.translated(tmp_path):
        db.execute(statement)


def test_a_database_that_is_gone_is_not_found(tmp_path):
    with pytest.raises(IndexNotFoundError), database.translated(tmp_path):
        sqlite3.connect(tmp_path / "absent" / "x")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE papers SET sentences = '[[0'",
        "UPDATE papers SET extra = 'x'",
        "UPDATE papers SET sentence_vectors = x'00'",
        "UPDATE passages SET vector = x'000000'",
        "UPDATE papers SET title = CAST(x'ff' AS TEXT)",
    ],
)
def test_a_row_that_cannot_be_read_is_corruption(tmp_path, db, damage):
    key = write(db, Paper("a", "T", "A"))
    db.execute(damage)
    with pytest.raises(IndexCorruptError, match="damaged"), database.translated(tmp_path):
        database.load_papers(db, [key], DIMENSION)


def test_there_is_an_index_only_when_its_database_is_there(tmp_path):
    folder = tmp_path / "papers.idx"
    assert not index_exists(folder)
    folder.mkdir()
    assert not index_exists(folder)
    for left_by_a_kill in ("write.lock", "writer.json", f"{DATABASE_NAME}.new", f"{DATABASE_NAME}.new-wal"):
        (folder / left_by_a_kill).write_text("")
    assert not index_exists(folder)
    database.create(folder, HashEncoder())
    assert index_exists(folder)
    with pytest.raises(IndexStoreError, match="is a file"):
        index_exists(folder / DATABASE_NAME)


def test_a_missing_index_is_told_with_both_ways_to_make_one(tmp_path):
    message = str(not_found(tmp_path))
    assert f"no index at {tmp_path}" in message
    assert "citewell add FILE" in message
    assert "citewell add --example" in message
