"""Settings that an index keeps with it: they last as long as the index, and are told when they cannot be read."""

import contextlib
import sqlite3

import pytest
from fakes import HashEncoder
from oracle import assert_sound
from stores import WINDOW, paper, reopened

from index.database import tuning_at
from index.errors import IndexCorruptError, IndexLockedError, IndexNotFoundError
from index.lock import writer_lock
from index.store import PaperStore

KEPT = {"refusal.threshold": 0.3, "retrieval.keywords": False}


@pytest.fixture
def folder(memory_path):
    return memory_path / "papers.idx"


@pytest.fixture
def store(folder):
    made = PaperStore.open(folder, HashEncoder(WINDOW), create=True)
    made.add([paper(n) for n in range(3)])
    return made


def write_entry(folder, text):
    with contextlib.closing(sqlite3.connect(folder / "papers.sqlite")) as db, db:
        db.execute("INSERT OR REPLACE INTO meta VALUES ('tuning', ?)", (text,))


def test_an_index_has_none_at_first(folder, store):
    assert store.tuning() == tuning_at(folder) == {}


def test_what_is_kept_is_read_back_by_every_reader(folder, store):
    other = reopened(folder)
    store.tune(KEPT)
    assert store.tuning() == other.tuning() == reopened(folder).tuning() == tuning_at(folder) == KEPT
    other.tune({"retrieval.rerank": True})  # those that are not named stay
    assert store.tuning() == {**KEPT, "retrieval.rerank": True}


def test_none_removes_one_and_the_last_removes_the_entry(folder, store):
    store.tune(KEPT)
    store.tune({"refusal.threshold": None, "retrieval.rerank": None})
    assert store.tuning() == {"retrieval.keywords": False}
    store.tune({"retrieval.keywords": None})
    assert store.tuning() == {}
    with contextlib.closing(sqlite3.connect(folder / "papers.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM meta WHERE key = 'tuning'").fetchone() == (0,)


def test_adding_deleting_and_reindexing_leave_it_as_it_is(folder, store):
    store.tune(KEPT)
    store.add([paper(7)])
    store.delete(["id0"])
    store.reindex(HashEncoder(WINDOW), WINDOW - 4)
    assert store.tuning() == tuning_at(folder) == KEPT
    assert_sound(store)


def test_it_is_no_change_of_the_papers(store):
    with store._database.reading() as db:
        before = db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()
    store.tune(KEPT)
    with store._database.reading() as db:
        assert db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone() == before
    assert_sound(store)


def test_one_process_writes_at_a_time(folder, store):
    with writer_lock(folder), pytest.raises(IndexLockedError):
        store.tune(KEPT)
    assert store.tuning() == {}


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"refusal.threshold": "0.3"}', '{"refusal.threshold": null}'])
def test_a_damaged_entry_is_told(folder, store, text):
    write_entry(folder, text)
    for reading in (store.tuning, lambda: tuning_at(folder), lambda: store.tune(KEPT), lambda: reopened(folder)):
        with pytest.raises(IndexCorruptError, match=r"papers\.idx .*its manifest lacks a usable entry: tuning is "):
            reading()


def test_where_there_is_no_index_that_is_told(folder):
    with pytest.raises(IndexNotFoundError, match="citewell add"):
        tuning_at(folder)
