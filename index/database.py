"""The SQLite database of an index: its connections, transactions, manifest and errors. Knows no paper.

Every change is one transaction and raises the generation by one. A connection is opened once and used again, by one
thread at a time, as long as the file at its path is the one it was opened on.
"""

import json
import os
import secrets
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import IndexCorruptError, IndexStoreError
from .location import DATABASE_NAME, not_found, unreadable
from .lock import writer_lock
from .schema import FORMAT_VERSION, PASSAGE_TRIGGER, TABLES, computed_tables

# Each index counts its generations from a random multiple of this, so that search files of one index are never
# taken for those of another whose database was copied over its own.
_GENERATIONS_PER_INDEX = 2**32
_ADDING = "adding "  # before the name of a source, in the manifest
_TUNING = "tuning"  # the entry of the manifest with the settings that belong to the collection
_BUSY_TIMEOUT_S = 30
_MAX_IDLE = 8

# What can go wrong around a sound database: the disk, permissions, other programs.
_OUTSIDE = frozenset(
    (
        sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL,
    )
)  # fmt: skip

_FileId = tuple[int, int]


class Database:
    """The database of one index folder; safe to use from several threads.

    Args:
        folder: The index folder; the database must exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / DATABASE_NAME
        self._idle: list[tuple[_FileId, sqlite3.Connection]] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._idle)

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """A connection in autocommit mode; SQLite's errors come out as ours."""
        with _translated(self.folder):
            file_id, db = self._take()
            try:
                yield db
            except BaseException:
                db.close()  # whatever it was in the middle of is rolled back
                raise
            if db.in_transaction:
                db.execute("ROLLBACK")
            with self._lock:
                if file_id is not None and len(self._idle) < _MAX_IDLE:
                    self._idle.append((file_id, db))
                    return
            db.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one read transaction: everything read through it is of one generation."""
        with self.connection() as db:
            db.execute("BEGIN")
            yield db

    @contextmanager
    def writing(self, *, visible: bool = True) -> Iterator[sqlite3.Connection]:
        """A connection inside one write transaction, which is committed at the end.

        Args:
            visible: Whether searches can see a difference; the generation is raised then.
        """
        with self.connection() as db:
            db.execute("BEGIN IMMEDIATE")
            yield db
            if visible:
                db.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
            db.execute("COMMIT")

    def close(self) -> None:
        """Close the connections that nobody uses. Using the object again opens new ones."""
        with self._lock:
            _close_all(self._idle)

    def _take(self) -> tuple[_FileId | None, sqlite3.Connection]:
        """Return a connection and the identity of its file; None if it must not be used again."""
        try:
            found = self._path.stat()
        except FileNotFoundError as exc:
            raise not_found(self.folder) from exc
        except OSError as exc:
            raise unreadable(self.folder, exc) from exc
        file_id = (found.st_dev, found.st_ino)
        with self._lock:
            while self._idle:
                known, db = self._idle.pop()
                if known == file_id:
                    return file_id, db
                db.close()
        writable = os.access(self.folder, os.W_OK) or self._path.with_name(f"{self._path.name}-wal").exists()
        # Without write access SQLite cannot put its log beside the file; without a log nobody is writing, and the
        # file is the database. That may change, so such a connection is used once.
        return (file_id if writable else None), _connect(self._path, "mode=rw" if writable else "mode=ro&immutable=1")


def create(folder: Path, manifest: Mapping[str, str]) -> None:
    """Make an empty index. The database appears under its name only when it is complete."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise IndexStoreError(
            f"Cannot make the index folder {folder}: {exc.strerror or exc}. Name another one."
        ) from exc
    with writer_lock(folder), _translated(folder):
        target, draft = folder / DATABASE_NAME, folder / f"{DATABASE_NAME}.new"
        if target.exists():  # another process was faster
            return
        if (folder / "nodes.sqlite").exists():
            raise IndexStoreError(f"{folder} holds a vector store of llama-index. Name another folder.")
        draft.unlink(missing_ok=True)
        db = _connect(draft, "mode=rwc")
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(TABLES + computed_tables() + PASSAGE_TRIGGER)
            generation = str(new_epoch())
            meta = {"format_version": str(FORMAT_VERSION), "generation": generation}
            meta |= {"logged_since": generation, "vectors_since": generation}
            db.executemany("INSERT INTO meta VALUES (?, ?)", {**meta, **manifest}.items())
        finally:
            db.close()
        for left in (f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm"):
            (folder / left).unlink(missing_ok=True)  # of a database that was removed; SQLite would replay it onto ours
        draft.replace(target)


def new_epoch() -> int:
    """Return a generation to begin counting from."""
    return secrets.randbits(30) * _GENERATIONS_PER_INDEX


def of_one_epoch(generation: int, other: int) -> bool:
    """Tell whether two generations are of one index, so that equal keys mean equal rows."""
    return generation // _GENERATIONS_PER_INDEX == other // _GENERATIONS_PER_INDEX


def read_meta(db: sqlite3.Connection) -> dict[str, str]:
    """Return the manifest."""
    return dict(db.execute("SELECT key, value FROM meta"))


def read_generation(db: sqlite3.Connection) -> int:
    """Return the generation this connection sees."""
    return int(db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()[0])


def set_meta(db: sqlite3.Connection, key: str, value: str | None) -> None:
    """Write one entry of the manifest; None removes it."""
    if value is None:
        db.execute("DELETE FROM meta WHERE key = ?", (key,))
    else:
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def tuning_of(folder: Path, meta: Mapping[str, str]) -> dict[str, bool | float]:
    """Return the settings that an index keeps with it, by name; {} if there are none. What they mean is not known here.

    Raises:
        IndexCorruptError: If the entry of the manifest is not a JSON object of numbers and truth values.
    """
    try:
        kept = json.loads(meta.get(_TUNING, "{}"))
    except ValueError as exc:
        raise _unusable_tuning(folder, meta) from exc
    if not isinstance(kept, dict) or not all(isinstance(value, (bool, int, float)) for value in kept.values()):
        raise _unusable_tuning(folder, meta)
    return kept


def tuning_at(folder: Path) -> dict[str, bool | float]:
    """Return what :func:`tuning_of` does for the index in ``folder``, without opening anything else of it.

    Raises:
        IndexNotFoundError: If there is no index.
        IndexCorruptError: If the database or the entry is damaged.
    """
    database = Database(folder)
    try:
        with database.reading() as db:
            return tuning_of(folder, read_meta(db))
    finally:
        database.close()


def set_tuning(db: sqlite3.Connection, kept: Mapping[str, bool | float]) -> None:
    """Write the settings that an index keeps with it; none removes the entry."""
    set_meta(db, _TUNING, json.dumps(dict(kept), sort_keys=True) if kept else None)


def _unusable_tuning(folder: Path, meta: Mapping[str, str]) -> IndexCorruptError:
    return not_ours(folder, f"its manifest lacks a usable entry: tuning is {meta[_TUNING]!r}")


def unfinished_sources(meta: Mapping[str, str]) -> set[str]:
    """Return the sources, as a manifest has them, of adds that have not come to their end."""
    return {key.removeprefix(_ADDING) for key in meta if key.startswith(_ADDING)}


def set_unfinished(db: sqlite3.Connection, source: str) -> None:
    """Note that an add of ``source`` has begun."""
    set_meta(db, _adding(source), "")


def set_finished(db: sqlite3.Connection, source: str) -> None:
    """Take back :func:`set_unfinished`; notes of other sources stay."""
    set_meta(db, _adding(source), None)


def storable(path: str) -> str:
    """Return a path as text that can be stored: bytes of a name that are not UTF-8 are escaped."""
    return path.encode(errors="backslashreplace").decode()


def _adding(source: str) -> str:
    return _ADDING + storable(source)


def forget_removals(db: sqlite3.Connection) -> None:
    """Empty the logs of what was removed; a search file older than this generation must be made anew."""
    generation = read_generation(db)
    db.execute("DELETE FROM removed_passages")
    db.execute("DELETE FROM removed_papers")
    set_meta(db, "logged_since", str(generation))


def not_ours(folder: Path, why: str) -> IndexCorruptError:
    """Return the error for a database that something else has written."""
    return IndexCorruptError(f"{folder} holds a database that is not a Citewell index ({why}). Name another folder.")


def from_json(text: str) -> object:
    """Return a stored JSON value.

    Raises:
        sqlite3.DatabaseError: If it is none: the row is damaged.
    """
    try:
        value: object = json.loads(text)
    except (ValueError, TypeError) as exc:
        raise sqlite3.DatabaseError(f"a stored list cannot be read: {exc}") from exc
    return value


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}",
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
        uri=True,
        check_same_thread=False,
    )
    try:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut
    except BaseException:
        db.close()
        raise
    return db


def _close_all(idle: list[tuple[_FileId, sqlite3.Connection]]) -> None:
    while idle:
        with suppress(sqlite3.Error):  # closing is the last thing that is done with it
            idle.pop()[1].close()


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, saying what is safe and what to do next."""
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as exc:  # the latter when a damaged name is in the message
        if not (folder / DATABASE_NAME).exists():
            raise not_found(folder) from exc
        if getattr(exc, "sqlite_errorcode", 0) & 0xFF in _OUTSIDE:  # the low byte is the kind of error
            raise IndexStoreError(
                f"The index {folder} could not be used: {exc}. What was stored before is unchanged. "
                "Check the free disk space and that the folder can be written, then try again."
            ) from exc
        if "no such table" in str(exc) or "no such column" in str(exc):
            raise not_ours(folder, str(exc)) from exc
        raise IndexCorruptError(
            f"The database of {folder} is damaged ({exc}). Restore papers.sqlite from a backup, "
            "or move the folder away and add the papers again."
        ) from exc
