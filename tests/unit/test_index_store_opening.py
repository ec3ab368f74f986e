"""What cannot be opened is refused with the reason and the next step; what is damaged and can be made again, is."""

import shutil
import sqlite3

import numpy as np
import pytest
from damage import DAMAGES, drop_keywords, drop_vectors
from fakes import HashEncoder
from oracle import assert_search_is_exact, assert_sound
from stores import WINDOW, details, paper, reopened

from index.errors import ConfigError, IndexCorruptError, IndexMismatchError, IndexNotFoundError, IndexStoreError
from index.location import index_exists
from index.paper import Paper
from index.schema import FORMAT_VERSION
from index.store import PaperStore


@pytest.fixture
def folder(memory_path):
    return memory_path / "papers.idx"


@pytest.fixture
def store(folder):
    return PaperStore.open(folder, HashEncoder(WINDOW), create=True)


# -- what is mended -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_to_what_is_derived_is_mended(folder, store, damage):
    entries = [paper(n) for n in range(8)]
    store.add(entries)
    damage(folder)
    mended = reopened(folder)
    assert_sound(mended)
    assert_search_is_exact(mended, entries, "title word3 about graphs", 8)
    assert mended.encoder.embedded_passages == 0


def test_search_files_of_another_index_are_not_taken_for_ours(folder, store, tmp_path):
    store.add([paper(n) for n in range(4)])
    other = PaperStore.open(tmp_path / "other.idx", HashEncoder(WINDOW), create=True)
    entries = [paper(n, "Whales and galaxies.") for n in range(10, 14)]
    other.add(entries)
    store.close()
    other.close()
    shutil.copy(tmp_path / "other.idx" / "papers.sqlite", folder / "papers.sqlite")
    opened = reopened(folder)
    assert_search_is_exact(opened, entries, "galaxies word11", 2)
    assert_sound(opened)


def test_a_database_that_is_older_than_the_search_files_is_searched_as_it_is(folder, store):
    """As after restoring it from a backup; generations are then passed a second time."""
    entries = [paper(n) for n in range(4)]
    store.add(entries)
    store.close()
    before = (folder / "papers.sqlite").read_bytes()
    store.add([paper(n, "Whales.") for n in range(4, 8)])
    store.delete(["id0"])
    store.close()
    (folder / "papers.sqlite").write_bytes(before)
    opened = reopened(folder)
    assert_search_is_exact(opened, entries, "title word1 whales", 8)
    opened.add([paper(9)])
    opened.add([paper(10)])
    for each in (opened, reopened(folder)):
        assert_search_is_exact(each, [*entries, paper(9), paper(10)], "title word1 whales", 8)
        assert_sound(each)


def test_an_index_that_is_replaced_under_an_open_store_is_searched_as_it_is(folder, store, memory_path):
    store.add([paper(n) for n in range(4)])
    for name in ("one.idx", "two.idx"):  # one of them counts its generations from below ours, most likely
        other = PaperStore.open(memory_path / name, HashEncoder(WINDOW), create=True)
        entries = [paper(n, "Whales and galaxies.") for n in range(10, 14)]
        other.add(entries)
        shutil.rmtree(folder)
        (memory_path / name).rename(folder)
        assert_search_is_exact(store, entries, "galaxies word11 word2", 4)
        assert_sound(store)


def test_the_check_says_what_opening_has_mended(folder, store):
    store.add([paper(n) for n in range(3)])
    assert not [check for check in store.check() if "opened" in check.detail]
    drop_vectors(folder)
    said = details(reopened(folder))
    assert said["vectors"].endswith("; rebuilt when opened")
    assert "opened" not in said["keywords"]
    drop_keywords(folder)
    checks = {check.name: check for check in reopened(folder).check()}
    assert checks["keywords"].ok
    assert checks["keywords"].detail.endswith("; rebuilt when opened")
    assert not [check for check in reopened(folder).check() if "opened" in check.detail]


def test_a_new_index_has_had_nothing_mended(folder, store):
    assert not [detail for detail in details(store).values() if "opened" in detail]


# -- what is refused ------------------------------------------------------------------------------------------


def test_a_missing_index_names_the_command_that_makes_one(folder):
    with pytest.raises(IndexNotFoundError, match=r"no index at .*papers\.idx.*citewell add FILE --index"):
        PaperStore.open(folder, HashEncoder())
    assert not folder.exists()


@pytest.mark.parametrize("create", [True, False])
def test_a_file_is_not_an_index_folder(folder, create):
    folder.write_text("notes")
    with pytest.raises(IndexStoreError, match=r"papers\.idx is a file.*another path"):
        PaperStore.open(folder, HashEncoder(), create=create)
    assert folder.read_text() == "notes"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(IndexStoreError, match="Name another"):
        PaperStore.open(tmp_path / "file" / "papers.idx", HashEncoder(), create=True)


def test_an_index_that_vanishes_under_an_open_store_is_missed_by_name(folder, store):
    store.add([paper(1)])
    shutil.rmtree(folder)
    with pytest.raises(IndexNotFoundError, match=r"no index at .*papers\.idx"):
        len(store)
    with pytest.raises(IndexStoreError):
        store.add([paper(2)])


class Other(HashEncoder):
    @property
    def identity(self):
        return {**super().identity, "model_name": "other-encoder"}


def test_another_encoder_is_refused_by_both_names(folder, store):
    with pytest.raises(IndexMismatchError, match=r"built with hash-encoder.*ask for other-encoder.*citewell reindex"):
        PaperStore.open(folder, Other(WINDOW))


def test_another_model_window_is_refused_with_both_values(folder, store):
    with pytest.raises(IndexMismatchError, match="max_tokens 24 against 99"):
        PaperStore.open(folder, HashEncoder(99))


def test_an_index_keeps_the_passage_tokens_it_was_made_with(folder):
    made = PaperStore.open(folder, HashEncoder(), create=True, passage_tokens=WINDOW)
    entries = [Paper("long", "Title", " ".join(f"A sentence of words {n}." for n in range(12)))]
    made.add(entries)
    for tokens in (None, WINDOW):
        opened = PaperStore.open(folder, HashEncoder(), passage_tokens=tokens)
        assert opened.passages.max_tokens == WINDOW
        found = assert_search_is_exact(opened, entries, "sentence 7", 1)
        assert len(found.papers[found.by_meaning[0]].passage_vectors) > 2
    with pytest.raises(IndexMismatchError, match=r"at most 24 tokens.*ask for 99 .*passage_tokens.*citewell reindex"):
        PaperStore.open(folder, HashEncoder(), passage_tokens=99)
    assert PaperStore.open(folder / "new", HashEncoder(99), create=True).passages.max_tokens == 99


def test_more_passage_tokens_than_the_model_reads_are_refused_before_anything_is_made(folder):
    with pytest.raises(ConfigError, match=r"passage_tokens is 25; hash-encoder reads at most 24 tokens"):
        PaperStore.open(folder, HashEncoder(24), create=True, passage_tokens=25)
    assert not index_exists(folder)


@pytest.mark.parametrize(("version", "age"), [(FORMAT_VERSION - 1, "an older"), (FORMAT_VERSION + 1, "a newer")])
def test_another_format_is_refused_with_its_age(folder, store, version, age):
    with sqlite3.connect(folder / "papers.sqlite") as db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'format_version'", (str(version),))
    db.close()
    with pytest.raises(IndexMismatchError, match=f"index format {version}, written by {age} Citewell"):
        reopened(folder)


def test_an_index_of_the_first_version_is_refused_as_older(folder):
    """The tables that it had, as far as they matter here."""
    folder.mkdir()
    with sqlite3.connect(folder / "papers.sqlite") as db:
        db.executescript(
            "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);"
            "INSERT INTO meta VALUES ('format_version', '1'), ('generation', '3'), ('encoder', '{}')"
        )
    db.close()
    with pytest.raises(IndexMismatchError, match="index format 1, written by an older Citewell"):
        reopened(folder)


@pytest.mark.parametrize(
    "schema",
    [
        "CREATE TABLE notes (text TEXT)",
        "CREATE TABLE meta (name TEXT, content TEXT)",
        "CREATE TABLE meta (key TEXT, value TEXT)",
        "CREATE TABLE meta (key TEXT, value TEXT); INSERT INTO meta VALUES ('format_version', 'draft')",
        "CREATE TABLE meta (key TEXT, value TEXT); INSERT INTO meta VALUES "
        f"('format_version', '{FORMAT_VERSION}'), ('encoder', '{{')",
    ],
)
def test_a_database_of_another_program_is_refused_and_left_alone(folder, schema):
    folder.mkdir()
    with sqlite3.connect(folder / "papers.sqlite") as db:
        db.executescript(schema)
    db.close()
    before = (folder / "papers.sqlite").read_bytes()
    with pytest.raises(IndexCorruptError, match=r"not a Citewell index.*Name another folder"):
        PaperStore.open(folder, HashEncoder(), create=True)
    assert (folder / "papers.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to have a header " * 40, b"SQLite format 3"]
)
def test_a_file_that_is_no_database_is_corrupt(folder, content):
    folder.mkdir()
    (folder / "papers.sqlite").write_bytes(content)
    with pytest.raises(IndexCorruptError, match=r"is damaged .*backup"):
        PaperStore.open(folder, HashEncoder())


def damaged(folder, change):
    """Close the index, and replace its database by what ``change`` makes of it."""
    with sqlite3.connect(folder / "papers.sqlite") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    for name in ("papers.sqlite-wal", "papers.sqlite-shm"):
        (folder / name).unlink(missing_ok=True)
    data = bytearray((folder / "papers.sqlite").read_bytes())
    (folder / "papers.sqlite").write_bytes(change(data) or data)


def test_a_flipped_byte_in_the_header_is_corrupt_with_a_next_step(folder, store):
    store.add([paper(1)])
    store.close()
    damaged(folder, lambda data: data.__setitem__(3, data[3] ^ 0xFF))
    with pytest.raises(IndexCorruptError, match=r"damaged .*Restore papers\.sqlite from a backup"):
        reopened(folder)


def test_any_flipped_byte_gives_an_error_of_ours_or_a_store_that_works(folder, store):
    store.add([paper(n, authors=("Ada",), extra={"a": 1}) for n in range(6)])
    store.close()
    damaged(folder, lambda data: None)
    sound = (folder / "papers.sqlite").read_bytes()
    generator = np.random.default_rng(7)
    places = [*range(100), *generator.integers(100, len(sound), 150).tolist()]
    refused = 0
    for place in places:
        data = bytearray(sound)
        data[place] ^= int(generator.integers(1, 256))
        for name in ("papers.sqlite-wal", "papers.sqlite-shm"):
            (folder / name).unlink(missing_ok=True)
        (folder / "papers.sqlite").write_bytes(data)
        opened = None
        try:
            opened = reopened(folder)
            opened.candidates(HashEncoder().embed_queries(["title word3"])[0], ["titl"], 6)
            opened.papers()
            opened.check()
        except IndexStoreError:
            refused += 1
        finally:
            if opened is not None:
                opened.close()
    assert refused > 20


def test_a_truncated_database_is_corrupt(folder, store):
    store.add([paper(n) for n in range(40)])
    store.close()
    damaged(folder, lambda data: data[: len(data) // 2])
    with pytest.raises(IndexCorruptError, match="damaged"):
        reopened(folder).papers()


def test_a_killed_creation_has_left_no_index(folder):
    folder.mkdir()
    for name in ("write.lock", "writer.json", "papers.sqlite.new", "papers.sqlite.new-wal"):
        (folder / name).write_text("")
    assert not index_exists(folder)
    with pytest.raises(IndexNotFoundError):
        PaperStore.open(folder, HashEncoder())
    assert len(PaperStore.open(folder, HashEncoder(), create=True)) == 0
