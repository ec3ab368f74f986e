"""The examination: it is content with what is sound, names each kind of damage, and repairs what can be made again."""

import sqlite3

import pytest
from damage import DAMAGES
from fakes import HashEncoder
from oracle import assert_search_is_exact, assert_sound

from index.lock import writer_lock
from index.paper import Paper
from index.store import PaperStore

WINDOW = 24
NAMES = ["database", "papers", "texts", "vectors", "search", "keywords", "last add"]


def paper(number, **fields):
    return Paper(f"id{number}", f"Title {number}", f"Abstract word{number}. It is about graphs.", **fields)


ENTRIES = [paper(n, authors=("Ada",), tags=("x",)) for n in range(6)]


@pytest.fixture
def folder(memory_path):
    return memory_path / "papers.idx"


@pytest.fixture
def store(folder):
    made = PaperStore.open(folder, HashEncoder(WINDOW), create=True)
    made.add(ENTRIES)
    return made


def damage(folder, *statements):
    """Change rows behind the store's back, and without the checks that SQLite would make."""
    with sqlite3.connect(folder / "papers.sqlite") as db:
        for statement in statements:
            db.execute(statement)
    db.close()


def failed(store, **options):
    return {check.name: check.detail for check in store.check(**options) if not check.ok}


def test_what_is_sound_is_said_in_numbers(store):
    checks = store.check()
    assert [check.name for check in checks] == NAMES
    assert {check.name: check.detail for check in checks} == {
        "database": "SQLite integrity check: ok",
        "papers": "6 papers, 0 passages without a paper, 0 papers without a passage",
        "texts": "vectors and words fit the texts",
        "vectors": "6 vectors in FAISS, 6 in SQLite, equal",
        "search": "exhaustive, exact",
        "keywords": "6 papers in the keyword index, 6 in SQLite",
        "last add": "nothing was interrupted",
    }
    assert all(check.ok for check in checks)
    assert [check.name for check in checks if check.derived] == ["vectors", "keywords"]


@pytest.mark.parametrize(
    ("statement", "name", "detail"),
    [
        ("DELETE FROM passages WHERE paper = 2", "papers", "1 papers without a passage"),
        ("UPDATE passages SET paper = 99 WHERE paper = 2", "papers", "1 passages without a paper"),
        ("UPDATE passages SET paper = 99 WHERE paper = 2", "database", "1 rows without what they belong to"),
        ("DELETE FROM papers WHERE key = 2", "database", "rows without what they belong to"),
        ("DELETE FROM names WHERE paper = 2", "papers", "1 without a name"),
        ("DELETE FROM records WHERE paper = 2", "papers", "1 without a source"),
        ("UPDATE papers SET abstract = 'Another.' WHERE key = 2", "texts", "1 papers have vectors or words"),
        ("UPDATE papers SET title = 'Another.' WHERE key > 2", "texts", "4 papers have vectors or words"),
        ("DROP INDEX papers_by_year", "database", None),
    ],
)
def test_rows_that_do_not_hang_together_are_named_and_not_repaired(folder, store, statement, name, detail):
    damage(folder, statement)
    if detail is None:  # an index is no data: nothing is lost
        assert_sound(store)
        return
    assert detail in failed(store)[name]
    assert detail in failed(store, repair=True)[name]


VECTORS = [
    "UPDATE passages SET vector = (SELECT vector FROM passages WHERE key = 1) WHERE key = 3",
    "UPDATE passages SET paper = 1 WHERE key = 3",
    "UPDATE passages SET key = 99 WHERE key = 3",
    "INSERT INTO passages SELECT 99, paper, start, end, vector FROM passages WHERE key = 3",
]


@pytest.mark.parametrize("statement", VECTORS)
def test_vectors_that_are_not_those_of_sqlite_are_named_and_made_anew(folder, store, statement):
    damage(folder, statement)
    assert set(failed(store)) >= {"vectors"}
    assert failed(store)["vectors"].endswith("different")
    assert not set(failed(store, repair=True)) & {"vectors", "keywords"}
    assert not set(failed(PaperStore.open(folder, HashEncoder(WINDOW)))) & {"vectors", "keywords"}


def test_a_removal_that_was_not_logged_is_found_and_repaired(folder, store):
    damage(folder, "DROP TRIGGER passage_removed", "PRAGMA foreign_keys = 1", "DELETE FROM papers WHERE key = 2",
           "DELETE FROM removed_papers")  # fmt: skip
    said = failed(store)
    assert said["vectors"] == "6 vectors in FAISS, 5 in SQLite, different"
    assert said["keywords"].startswith("6 papers in the keyword index, 5 in SQLite; ")
    assert failed(store, repair=True) == {}
    kept = [entry for entry in ENTRIES if entry.id != "id1"]
    for each in (store, PaperStore.open(folder, HashEncoder(WINDOW))):
        assert_search_is_exact(each, kept, "title word1 word2", 9, collection=kept)
        assert_sound(each)


@pytest.mark.parametrize("change", DAMAGES)
def test_repairing_also_mends_files_that_are_damaged_under_an_open_store(folder, store, change):
    """What is loaded is sound, so nothing is wrong; opening it again mends the files."""
    change(folder)
    assert failed(store, repair=True) == {}
    assert_search_is_exact(store, ENTRIES, "title word3", 9, collection=ENTRIES)
    opened = PaperStore.open(folder, HashEncoder(WINDOW))
    assert_sound(opened)
    assert_search_is_exact(opened, ENTRIES, "title word3", 9, collection=ENTRIES)


def test_a_repair_waits_for_a_process_that_writes(folder, store):
    damage(folder, VECTORS[0])
    with writer_lock(folder):
        assert set(failed(store, repair=True)) == {"vectors"}
    assert failed(store, repair=True) == {}


def test_a_repair_changes_nothing_that_is_sound(folder, store):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "sqlite" not in path.name}
    assert failed(store, repair=True) == {}
    assert {path: path.read_bytes() for path in before} == before
