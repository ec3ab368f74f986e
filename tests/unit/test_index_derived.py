"""The search files catch up by what has changed, are rebuilt when that cannot lead there, and say which it was."""

import json
import time
from contextlib import contextmanager

import pytest
from damage import drop_keywords, drop_vectors
from fakes import HashEncoder
from oracle import assert_search_is_exact, assert_sound
from stores import WINDOW, details, paper, reopened

import index.derived
import index.vectors
from index import database
from index.keywords import KeywordIndex
from index.lock import writer_lock
from index.store import PaperStore
from index.vectors import VectorIndex


@pytest.fixture
def folder(memory_path):
    return memory_path / "papers.idx"


@pytest.fixture
def store(folder):
    return PaperStore.open(folder, HashEncoder(WINDOW), create=True)


def meta(store):
    with store._database.reading() as db:
        return database.read_meta(db)


def saved(folder):
    return json.loads((folder / "vectors.json").read_text())["generation"]


def logged(store):
    with store._database.reading() as db:
        return [db.execute(f"SELECT count(*) FROM removed_{name}").fetchone()[0] for name in ("passages", "papers")]


@pytest.fixture
def rebuilt(monkeypatch):
    """What has been built anew since, by name."""
    seen = []
    init, rebuild = VectorIndex.__init__, index.derived.KeywordIndex.rebuild

    def counting(self, *arguments):
        seen.append("vectors")
        init(self, *arguments)

    def counting_too(self, *arguments):
        seen.append("keywords")
        rebuild(self, *arguments)

    monkeypatch.setattr(VectorIndex, "__init__", counting)
    monkeypatch.setattr(index.derived.KeywordIndex, "rebuild", counting_too)
    return seen


def test_a_small_change_is_logged_and_leaves_the_vector_files_as_they_are(folder, store, rebuilt):
    store.add([paper(n) for n in range(100)])
    before = saved(folder)
    assert logged(store) == [0, 0]
    rebuilt.clear()
    store.add([paper(100), paper(3, "Changed.")])
    store.delete(["id5", "id7"])
    assert saved(folder) == before
    assert logged(store) == [3, 2]  # a text that changed, and two papers
    assert int(meta(store)["logged_since"]) <= before
    assert rebuilt == []
    kept = [paper(n, "Changed.") if n == 3 else paper(n) for n in range(101) if n not in (5, 7)]
    for each in (store, reopened(folder)):
        assert_search_is_exact(each, kept, "title word3 word5 changed", 10, collection=kept)
        assert_sound(each)
    assert details(reopened(folder))["vectors"] == "99 vectors in FAISS, 99 in SQLite, equal"
    assert "keywords" not in rebuilt


def test_when_a_tenth_has_changed_the_vector_files_are_written_anew_and_the_logs_emptied(folder, store):
    store.add([paper(n) for n in range(50)])
    before = saved(folder)
    store.delete([f"id{n}" for n in range(5)])
    assert (saved(folder), logged(store)) == (before, [5, 5])
    store.delete(["id5"])
    assert saved(folder) > before
    assert logged(store) == [0, 0]
    assert int(meta(store)["logged_since"]) == saved(folder)
    assert_search_is_exact(reopened(folder), [paper(n) for n in range(6, 50)], "title word3 word9", 10)


def test_a_reader_that_is_older_than_the_logs_takes_the_new_files(folder, store, rebuilt):
    store.add([paper(n) for n in range(20)])
    reader = reopened(folder)
    store.delete(["id0"])
    store.add([paper(n) for n in range(20, 60)])  # the files are written anew, the logs emptied
    assert logged(store) == [0, 0]
    rebuilt.clear()
    kept = [paper(n) for n in range(1, 60)]
    assert_search_is_exact(reader, kept, "title word0 word9", 10, collection=kept)
    assert rebuilt == ["vectors"]  # once, to load them
    assert reader._derived.vectors.saved_generation == saved(folder)
    assert len(reader._derived.vectors._tail) == 0


def test_a_reader_without_usable_files_reads_from_sqlite(folder, store):
    store.add([paper(n) for n in range(20)])
    reader = reopened(folder)
    store.add([paper(n) for n in range(20, 60)])
    drop_vectors(folder)
    kept = [paper(n) for n in range(60)]
    assert_search_is_exact(reader, kept, "title word3 word29", 10, collection=kept)
    assert_sound(reader)


@pytest.mark.parametrize("damage", [drop_vectors, drop_keywords])
def test_only_what_is_lost_is_rebuilt_and_the_rest_is_brought_up_to_date(folder, store, damage, monkeypatch):
    store.add([paper(n) for n in range(50)])
    monkeypatch.setattr(index.derived.Derived, "save", lambda self, *_, **__: None)
    store.add([paper(50)])  # a process that dies before it saves
    monkeypatch.undo()
    damage(folder)
    lost, other = ("vectors", "keywords") if damage is drop_vectors else ("keywords", "vectors")
    said = details(reopened(folder))
    assert said[lost].endswith("; rebuilt when opened")
    assert said[other].endswith("; brought up to date when opened")
    kept = [paper(n) for n in range(51)]
    assert_search_is_exact(reopened(folder), kept, "title word50", 10, collection=kept)


def test_while_another_process_writes_an_older_keyword_index_serves(folder, store, monkeypatch):
    store.add([paper(n) for n in range(20)])
    monkeypatch.setattr(index.derived.Derived, "save", lambda self, *_, **__: None)
    store.add([paper(20)])
    monkeypatch.undo()
    with writer_lock(folder):
        reader = reopened(folder)
        found = reader.candidates(HashEncoder().embed_queries(["word20 title 20"])[0], ["word3", "word20"], 30)
        assert len(found.by_meaning) == 21
        assert [found.papers[key].paper.id for key in found.by_keyword] == ["id3"]
        checks = {check.name: check for check in reader.check()}
        assert checks["keywords"].ok
        assert checks["keywords"].detail.startswith("20 papers in the keyword index, 21 in SQLite; process ")
        assert checks["keywords"].detail.endswith("is writing and will bring it up to date")
    assert_sound(reopened(folder))


def test_without_any_keyword_index_one_is_made_in_memory_while_another_process_writes(folder, store):
    entries = [paper(n) for n in range(20)]
    store.add(entries)
    drop_keywords(folder)
    with writer_lock(folder):
        reader = reopened(folder)
        assert_search_is_exact(reader, entries, "title word3", 10, collection=entries)
        assert "in memory" in details(reader)["keywords"]
    assert not (folder / "keywords" / "generation").exists()
    store.add([paper(20)])
    assert_search_is_exact(reader, [*entries, paper(20)], "title word20", 10, collection=[*entries, paper(20)])


def test_a_long_add_saves_the_keywords_now_and_then(folder, store, monkeypatch):
    monkeypatch.setattr(index.derived, "_KEYWORDS_EVERY_S", 0)
    seen = []

    def records():
        yield from (paper(n) for n in range(32))
        until = time.monotonic() + 10
        while len(KeywordIndex(folder / "keywords")) < 33 and time.monotonic() < until:
            time.sleep(0.01)
        with store._database.reading() as db:
            seen.append(KeywordIndex(folder / "keywords").generation == database.read_generation(db))
        yield paper(32)

    store.add([paper(99)])
    store.add(records())
    assert seen == [True]
    for each in (store, reopened(folder)):
        assert_search_is_exact(each, store.papers(), "title word32", 10, collection=store.papers())
        assert_sound(each)


def test_a_search_of_an_older_snapshot_never_puts_the_index_back(folder, store, rebuilt):
    """A transaction that is as old as another thread's long query."""
    store.add([paper(n) for n in range(30)])
    with store._database.reading() as old:
        database.read_generation(old)
        store.add([paper(30)])
        with store._derived.current() as db:
            assert database.read_generation(db) == database.read_generation(old) + 1
            generation = store._derived.vectors.generation
    assert store._derived.vectors.generation == generation
    rebuilt.clear()
    assert_search_is_exact(store, [paper(n) for n in range(31)], "title word30", 10)
    assert rebuilt == []


def test_a_file_that_is_ahead_of_a_snapshot_is_waited_for_with_a_newer_one(folder, store, rebuilt, monkeypatch):
    """A writer saves between the moment in which a reader takes its snapshot and that in which it loads the file."""
    store.add([paper(n) for n in range(20)])
    reader = reopened(folder)
    store.add([paper(n) for n in range(20, 40)])  # the logs no longer lead here from what the reader has
    real, snapshots = reader._database.reading, []

    @contextmanager
    def late():
        with real() as db:
            snapshots.append(database.read_generation(db))
            if len(snapshots) == 1:
                store.add([paper(n) for n in range(40, 60)])
                rebuilt.clear()
            yield db

    monkeypatch.setattr(reader._database, "reading", late)
    kept = [paper(n) for n in range(60)]
    assert_search_is_exact(reader, kept, "title word3 word29", 10, collection=kept)
    assert snapshots[0] < snapshots[1] == saved(folder)
    assert reader._derived.vectors.saved_generation == saved(folder)
    assert set(rebuilt) == {"vectors"}
    assert len(reader._derived.vectors._tail) == 0


def test_a_graph_is_made_at_the_end_of_an_add_kept_while_little_changes_and_then_grown(folder, store, monkeypatch):
    for module in (index.derived, index.vectors):
        monkeypatch.setattr(module, "GRAPH_FROM", 40)
    told = []
    store.add([paper(n) for n in range(50)], progress=lambda *what: told.append(what))
    assert store._derived.vectors.graph is not None
    assert told[-1] == (50, 50, "Linking the vectors")
    assert details(store)["search"].startswith("by graph, recall@10 ")
    before = saved(folder)
    store.add([paper(n) for n in range(50, 54)])
    store.delete(["id1"])
    opened = reopened(folder)
    assert saved(folder) == before
    kept = [paper(n) for n in range(54) if n != 1]
    for each in (store, opened):
        assert each._derived.vectors.graph is not None
        assert_search_is_exact(each, kept, "title word51 word3", 5, collection=kept)
        assert_sound(each)
    store.add([paper(n) for n in range(54, 70)])
    assert saved(folder) > before
    assert len(store._derived.vectors._tail) == 0
    assert_sound(store)
    drop_vectors(folder)  # opening makes no graph: that would take minutes
    opened = reopened(folder)
    assert opened._derived.vectors.graph is None
    checks = {check.name: check for check in opened.check()}
    assert not checks["search"].ok
    assert checks["search"].derived
    assert all(check.ok for check in opened.check(repair=True))
    assert opened._derived.vectors.graph is not None
