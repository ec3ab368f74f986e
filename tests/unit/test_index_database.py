"""The database: connections are used again on their own file only, a change is one generation, errors are ours."""

import sqlite3
import threading

import pytest
from fakes import HashEncoder

from index import database
from index.computing import PassageSettings
from index.database import Database
from index.errors import IndexCorruptError, IndexNotFoundError, IndexStoreError
from index.location import DATABASE_NAME, index_exists, not_found
from index.store import manifest

MANIFEST = manifest(HashEncoder(), PassageSettings(256))


@pytest.fixture
def folder(memory_path):
    database.create(memory_path, MANIFEST)
    return memory_path


def generation(opened):
    with opened.reading() as db:
        return database.read_generation(db)


# -- making one -----------------------------------------------------------------------------------------------


def test_a_new_index_holds_its_manifest_and_is_at_its_first_generation(folder):
    with Database(folder).reading() as db:
        meta = database.read_meta(db)
        assert meta.items() >= MANIFEST.items()
        assert int(meta["generation"]) == int(meta["logged_since"]) == database.read_generation(db)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_making_an_index_twice_changes_nothing(folder):
    before = generation(Database(folder))
    database.create(folder, MANIFEST)
    assert generation(Database(folder)) == before


def test_a_draft_that_was_left_behind_is_no_obstacle(tmp_path):
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"papers.sqlite.new{suffix}").write_bytes(b"left behind")
    database.create(tmp_path, MANIFEST)
    assert generation(Database(tmp_path)) > 0


def test_two_indexes_have_no_generation_in_common(tmp_path):
    generations = []
    for name in ("one", "two"):
        database.create(tmp_path / name, MANIFEST)
        generations.append(generation(Database(tmp_path / name)))
    assert not database.of_one_epoch(*generations)
    assert database.of_one_epoch(generations[0], generations[0] + 1_000_000)
    assert not database.of_one_epoch(-1, generations[0])


@pytest.mark.parametrize("odd", ["a ?b=c", "100%25", "#x", "é ü"])
def test_a_folder_of_any_name_is_opened(tmp_path, odd):
    database.create(tmp_path / odd, MANIFEST)
    assert generation(Database(tmp_path / odd)) > 0
    assert not [path for path in tmp_path.iterdir() if path.name != odd]


def test_connecting_never_makes_a_database(tmp_path):
    with pytest.raises(IndexNotFoundError, match="no index at"), Database(tmp_path).connection():
        pass
    assert list(tmp_path.iterdir()) == []


def test_there_is_an_index_only_when_its_database_is_there(tmp_path):
    folder = tmp_path / "papers.idx"
    assert not index_exists(folder)
    folder.mkdir()
    assert not index_exists(folder)
    for left_by_a_kill in ("write.lock", "writer.json", f"{DATABASE_NAME}.new", f"{DATABASE_NAME}.new-wal"):
        (folder / left_by_a_kill).write_text("")
    assert not index_exists(folder)
    database.create(folder, MANIFEST)
    assert index_exists(folder)
    with pytest.raises(IndexStoreError, match="is a file"):
        index_exists(folder / DATABASE_NAME)


def test_a_missing_index_is_told_with_both_ways_to_make_one(tmp_path):
    message = str(not_found(tmp_path))
    assert f"no index at {tmp_path}" in message
    assert "citewell add FILE" in message
    assert "citewell add --example" in message


# -- transactions ---------------------------------------------------------------------------------------------


def test_a_change_raises_the_generation_by_one_and_a_failed_one_leaves_nothing(folder):
    opened = Database(folder)
    before = generation(opened)
    with opened.writing() as db:
        database.set_meta(db, "note", "one")
        assert database.read_generation(db) == before
    assert generation(opened) == before + 1

    def fail():
        with opened.writing() as db:
            database.set_meta(db, "note", "two")
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError):
        fail()
    with opened.reading() as db:
        assert database.read_meta(db)["note"] == "one"
        assert database.read_generation(db) == before + 1


def test_what_is_read_in_one_transaction_is_of_one_generation(folder):
    opened = Database(folder)
    with opened.reading() as db:
        before = database.read_generation(db)
        with Database(folder).writing() as other:
            database.set_meta(other, "note", "one")
        assert database.read_generation(db) == before
        assert "note" not in database.read_meta(db)
    assert generation(opened) == before + 1


def test_unfinished_work_is_noted_and_taken_back_by_name(folder):
    with Database(folder).connection() as db:
        for source in ("b.bib", "a b.bib", "adding "):
            database.set_unfinished(db, source)
        database.set_unfinished(db, "b.bib")
        assert database.unfinished_sources(database.read_meta(db)) == {"b.bib", "a b.bib", "adding "}
        database.set_finished(db, "b.bib")
        database.set_finished(db, "absent")
        assert database.unfinished_sources(database.read_meta(db)) == {"a b.bib", "adding "}


def test_forgetting_removals_notes_from_when_on_they_are_known(folder):
    opened = Database(folder)
    with opened.writing() as db:
        db.execute("INSERT INTO removed_passages VALUES (1, 5)")
        db.execute("INSERT INTO removed_papers VALUES (1, 5)")
    with opened.connection() as db:
        database.forget_removals(db)
        assert db.execute(
            "SELECT (SELECT count(*) FROM removed_passages) + count(*) FROM removed_papers"
        ).fetchone() == (0,)
        assert int(database.read_meta(db)["logged_since"]) == database.read_generation(db)


# -- connections ----------------------------------------------------------------------------------------------


def test_a_connection_is_used_again_and_in_no_transaction(folder):
    opened = Database(folder)
    with opened.reading() as first:
        pass
    with opened.connection() as second:
        assert second is first
        assert not second.in_transaction
        with opened.connection() as third:
            assert third is not second


def test_a_connection_that_an_error_went_through_is_not_used_again(folder):
    opened, seen = Database(folder), []

    def fail():
        with opened.reading() as db:
            seen.append(db)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with opened.connection() as db:
        assert db is not seen[0]
    with pytest.raises(sqlite3.ProgrammingError):
        seen[0].execute("SELECT 1")


def test_a_database_that_was_replaced_is_opened_anew(folder, memory_path):
    opened = Database(folder)
    before = generation(opened)
    database.create(memory_path / "other", MANIFEST)
    (memory_path / "other" / DATABASE_NAME).replace(folder / DATABASE_NAME)
    assert generation(opened) != before
    (folder / DATABASE_NAME).unlink()
    with pytest.raises(IndexNotFoundError):
        generation(opened)


def test_closing_closes_what_nobody_uses(folder):
    opened = Database(folder)
    with opened.reading() as used:
        with opened.reading() as idle:
            pass
        opened.close()
        with pytest.raises(sqlite3.ProgrammingError):
            idle.execute("SELECT 1")
        assert database.read_generation(used) > 0
    assert generation(opened) > 0


def test_many_threads_have_a_connection_each(folder):
    opened, failures = Database(folder), []

    def work():
        try:
            for _ in range(20):
                with opened.writing() as db:
                    db.execute("UPDATE meta SET value = value + 1 WHERE key = 'counted'")
                generation(opened)
        except BaseException as exc:
            failures.append(exc)

    with opened.writing() as db:
        database.set_meta(db, "counted", "0")
    before = generation(opened)
    threads = [threading.Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with opened.reading() as db:
        assert database.read_meta(db)["counted"] == "240"
    assert generation(opened) == before + 240
    assert len(opened._idle) <= 8


# -- errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "error", "message"),
    [
        ("SELECT * FROM absent", IndexCorruptError, r"not a Citewell index.*Name another folder"),
        ("SELECT absent FROM papers", IndexCorruptError, r"not a Citewell index.*Name another folder"),
        ("INSERT INTO meta VALUES ('generation', '1')", IndexCorruptError, r"damaged.*backup"),
        ("UPDATE papers SET title = x'ff'", IndexStoreError, r"readonly.*unchanged.*free disk space"),
    ],
)
def test_errors_of_sqlite_become_ours(folder, statement, error, message):
    def fail():
        with Database(folder).connection() as db:
            if error is IndexStoreError:
                db.execute("PRAGMA query_only = 1")
            db.execute(statement)

    with pytest.raises(error, match=message):
        fail()


def test_a_database_that_goes_while_it_is_used_is_not_found(folder):
    def fail():
        with Database(folder).connection() as db:
            (folder / DATABASE_NAME).unlink()
            db.execute("SELECT * FROM absent")

    with pytest.raises(IndexNotFoundError):
        fail()


@pytest.mark.parametrize("text", ["", "[", None, b"\xff"])
def test_what_is_no_json_is_damage(text):
    with pytest.raises(sqlite3.DatabaseError):
        database.from_json(text)
