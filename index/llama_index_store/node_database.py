"""The SQLite database of a vector store: its nodes and their vectors. Holds no index and evaluates no filter.

Every change is one transaction and raises the generation by one, as in :mod:`index.database`. Without a folder the
database is in memory.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..database import from_json, new_epoch, read_generation, read_meta, set_meta
from ..errors import IndexCorruptError, IndexLockedError, IndexMismatchError, IndexNotFoundError, IndexStoreError
from ..location import DATABASE_NAME as PAPERS_NAME
from ..location import unreadable
from ..lock import writer_lock
from ..rows import Halves, Keys

NODES_NAME = "nodes.sqlite"

_FORMAT_VERSION = 1
_BUSY_TIMEOUT_S = 30
_LOCK_TIMEOUT_S = 30
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE nodes (
    key INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused; a node that changes gets a new one
    node_id TEXT NOT NULL UNIQUE,
    ref_doc_id TEXT,
    metadata TEXT NOT NULL,                 -- JSON: what filters see
    content TEXT NOT NULL,                  -- JSON: the node itself
    vector BLOB NOT NULL                    -- float16, of unit length
);
CREATE INDEX nodes_of_document ON nodes(ref_doc_id);

CREATE TABLE removed (key INTEGER PRIMARY KEY, generation INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node as it is stored.

    Attributes:
        node_id: Its id.
        ref_doc_id: The document it is part of, if any.
        metadata: JSON of what filters see.
        content: JSON of the node itself.
        vector: Its vector of unit length, float16.
    """

    node_id: str
    ref_doc_id: str | None
    metadata: str
    content: str
    vector: bytes


@dataclass(frozen=True, slots=True)
class State:
    """What the database says of itself.

    Attributes:
        generation: How often it was changed, counted from a random number.
        logged_since: The generation since which removals are logged.
        dimension: Length of the vectors; None before the first.
    """

    generation: int
    logged_since: int
    dimension: int | None


class NodeDatabase:
    """The database in a folder, which is made if it is not there, or in memory.

    Args:
        folder: The folder; None for a database in memory.

    Raises:
        IndexStoreError: If the folder is something else, or cannot be made or read.
        IndexMismatchError: If it was made by another version.
        IndexCorruptError: If the database cannot be read.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._memory: sqlite3.Connection | None = None
        if folder is None:
            self._memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            _create(self._memory)
        elif not _exists(folder):
            _publish(folder, _create, replace=False)
        self._check_version()

    @classmethod
    def from_dump(cls, data: bytes) -> "NodeDatabase":
        """Return a database in memory with what :meth:`dump` returned."""
        made = cls(None)
        assert made._memory is not None
        with _translated(None):
            made._memory.deserialize(data)
        made._check_version()
        return made

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the write lock of the folder. Writes are short, so another writer is waited for, for a while."""
        if self.folder is None:
            yield
        else:
            with _locked(self.folder):
                yield

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one generation. Of a database in memory there is one, for one thread at a time."""
        with self._transaction("BEGIN") as db:
            yield db

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one transaction; if it changes anything, it is committed and raises the generation."""
        with self._transaction("BEGIN IMMEDIATE") as db:
            before = db.total_changes
            yield db
            if db.total_changes != before:
                db.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
                db.execute("COMMIT")

    def forget_removals(self, until: int) -> None:
        """Empty the log of removals up to a generation; an index that is older must be made anew."""
        with self._transaction("BEGIN IMMEDIATE") as db:
            db.execute("DELETE FROM removed WHERE generation <= ?", (until,))
            set_meta(db, "logged_since", str(until))
            db.execute("COMMIT")

    def copy_to(self, folder: Path) -> None:
        """Make ``folder`` hold the same nodes, in one step; what it held before is replaced.

        Raises:
            IndexStoreError: If the folder is something else, or cannot be written; what it held is unchanged.
        """

        def fill(copy: sqlite3.Connection) -> None:
            db.backup(copy)
            _begin_to_count_anew(copy)

        _exists(folder)
        with self.reading() as db:
            _publish(folder, fill, replace=True)

    def dump(self) -> bytes:
        """Return the database as the content of a file."""
        with self.reading() as db:
            return db.serialize()

    def _check_version(self) -> None:
        with self.reading() as db:
            version = read_meta(db).get("format_version")
        if version != str(_FORMAT_VERSION):
            raise IndexMismatchError(
                f"{_name(self.folder)} has format {version}, this version of Citewell reads format {_FORMAT_VERSION}. "
                "Add the nodes to a new one."
            )

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with _translated(self.folder):
            db = self._memory if self.folder is None else _connect(self.folder / NODES_NAME, "rw")
            assert db is not None
            try:
                db.execute(begin)
                yield db
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                if db is not self._memory:
                    db.close()


# -- what is asked of a connection ------------------------------------------------------------------------------


def read_state(db: sqlite3.Connection) -> State:
    """Return what the database says of itself."""
    meta = read_meta(db)
    dimension = meta.get("dimension")
    return State(int(meta["generation"]), int(meta["logged_since"]), None if dimension is None else int(dimension))


def set_dimension(db: sqlite3.Connection, dimension: int) -> None:
    """Fix the length of the vectors."""
    set_meta(db, "dimension", str(dimension))


def put(db: sqlite3.Connection, row: NodeRow) -> None:
    """Insert a node, or replace the one with this id; a node that is the same already keeps its key."""
    values = (row.node_id, row.ref_doc_id, row.metadata, row.content, row.vector)
    columns = "node_id, ref_doc_id, metadata, content, vector"
    known = db.execute(f"SELECT key, {columns} FROM nodes WHERE node_id = ?", (row.node_id,)).fetchone()
    if known is not None:
        if known[1:] == values:
            return
        remove(db, [known[0]])
    db.execute(f"INSERT INTO nodes ({columns}) VALUES (?, ?, ?, ?, ?)", values)


def remove(db: sqlite3.Connection, keys: Iterable[int]) -> None:
    """Remove nodes."""
    generation = read_generation(db) + 1
    for key in keys:
        db.execute("DELETE FROM nodes WHERE key = ?", (int(key),))
        db.execute("INSERT INTO removed VALUES (?, ?)", (int(key), generation))


def remove_all(db: sqlite3.Connection) -> None:
    """Remove all nodes and forget the dimension."""
    db.execute("DELETE FROM nodes")
    set_meta(db, "dimension", None)
    _begin_to_count_anew(db)


def removed_since(db: sqlite3.Connection, generation: int) -> Keys:
    """Return the keys of the nodes removed after a generation, ascending."""
    rows = db.execute("SELECT key FROM removed WHERE generation > ? ORDER BY key", (generation,))
    return np.fromiter((row[0] for row in rows), dtype=np.int64)


def keys_by_id(db: sqlite3.Connection, node_ids: Iterable[str]) -> list[int]:
    """Return the keys of the nodes with these ids, in the order given; others are passed over."""
    found = (db.execute("SELECT key FROM nodes WHERE node_id = ?", (name,)).fetchone() for name in node_ids)
    return [row[0] for row in dict.fromkeys(found) if row is not None]


def keys_by_document(db: sqlite3.Connection, ref_doc_ids: Iterable[str]) -> list[int]:
    """Return the keys of the nodes of these documents."""
    query = "SELECT key FROM nodes WHERE ref_doc_id = ?"
    return [row[0] for name in set(ref_doc_ids) for row in db.execute(query, (name,))]


def read_contents(db: sqlite3.Connection, keys: Sequence[int]) -> list[tuple[str, dict[str, Any], str]]:
    """Return id, metadata and content of nodes, in the order of ``keys``, which all exist."""
    query = "SELECT node_id, metadata, content FROM nodes WHERE key = ?"
    rows = (db.execute(query, (int(key),)).fetchone() for key in keys)
    return [(node_id, _mapping(metadata), content) for node_id, metadata, content in rows]


def read_column(db: sqlite3.Connection, field: str) -> dict[int, Any]:
    """Return the values of one metadata field by key, of the nodes that have one that is not null."""
    rows = db.execute("SELECT key, metadata FROM nodes ORDER BY key")
    values = ((key, _mapping(metadata).get(field)) for key, metadata in rows)
    return {key: value for key, value in values if value is not None}


def read_vectors(db: sqlite3.Connection, keys: Iterable[int], dimension: int) -> Halves:
    """Return vectors, float16, shape (keys, dimension), in the order of ``keys``, which all exist."""
    blobs = (db.execute("SELECT vector FROM nodes WHERE key = ?", (int(key),)).fetchone()[0] for key in keys)
    return np.frombuffer(b"".join(blobs), dtype=np.float16).reshape(-1, dimension)


def iter_nodes(
    db: sqlite3.Connection, after: int, dimension: int, *, metadata: bool, rows: int = 4_096
) -> Iterator[tuple[Keys, Halves, list[dict[str, Any]]]]:
    """Yield the nodes with a key greater than ``after``, ascending, some thousand at a time.

    Yields:
        Their keys (int64), their vectors (float16, shape (nodes, dimension)) and, if asked for, their metadata.
    """
    column = "metadata" if metadata else "NULL"
    found = db.execute(f"SELECT key, vector, {column} FROM nodes WHERE key > ? ORDER BY key", (after,))
    while some := found.fetchmany(rows):
        if any(len(row[1]) != 2 * dimension for row in some):
            raise sqlite3.DatabaseError(f"a stored vector does not have {dimension} numbers")
        keys = np.array([row[0] for row in some], dtype=np.int64)
        vectors = np.frombuffer(b"".join(row[1] for row in some), dtype=np.float16).reshape(-1, dimension)
        yield keys, vectors, [_mapping(row[2]) for row in some] if metadata else []


# -- making and opening -----------------------------------------------------------------------------------------


def _exists(folder: Path) -> bool:
    try:
        if folder.exists() and not folder.is_dir():
            raise IndexStoreError(f"{folder} is a file, not the folder of a vector store. Name another path.")
        if (folder / PAPERS_NAME).exists():
            raise IndexStoreError(f"{folder} is an index of papers, not a vector store. Name another path.")
        return (folder / NODES_NAME).exists()
    except OSError as exc:
        raise unreadable(folder, exc) from exc


def _create(db: sqlite3.Connection) -> None:
    db.executescript(_TABLES)
    set_meta(db, "format_version", str(_FORMAT_VERSION))
    _begin_to_count_anew(db)


def _begin_to_count_anew(db: sqlite3.Connection) -> None:
    """Give the database a generation unlike that of any other, so that an index of what it was is not believed."""
    generation = str(new_epoch())
    set_meta(db, "generation", generation)
    set_meta(db, "logged_since", generation)
    db.execute("DELETE FROM removed")


def _publish(folder: Path, fill: Callable[[sqlite3.Connection], None], *, replace: bool) -> None:
    """Put a new database into ``folder`` in one step, whole or not at all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise IndexStoreError(f"Cannot make the folder {folder}: {exc.strerror or exc}. Name another one.") from exc
    target, draft = folder / NODES_NAME, folder / f"{NODES_NAME}.new"
    with _locked(folder), _translated(folder, making=True):
        if target.exists() and not replace:  # another process was faster
            return
        draft.unlink(missing_ok=True)
        with closing(_connect(draft, "rwc")) as db:
            fill(db)
            if target.exists():  # others may be reading it, so it is changed in a transaction rather than replaced
                with closing(_connect(target, "rw")) as old:
                    db.backup(old)
        if target.exists():
            draft.unlink()
        else:
            draft.replace(target)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # SQLite's default journal, not a write-ahead log: a connection is used once, and closing one that has a log
    # moves the log into the file each time.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}", timeout=_BUSY_TIMEOUT_S, isolation_level=None, uri=True
    )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    until = time.monotonic() + _LOCK_TIMEOUT_S
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(writer_lock(folder))
                break
            except IndexLockedError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
        yield


@contextmanager
def _translated(folder: Path | None, *, making: bool = False) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except (sqlite3.DatabaseError, OSError) as exc:
        if folder is not None and not making and not (folder / NODES_NAME).exists():
            raise IndexNotFoundError(f"There is no vector store at {folder} any more. Open or make it anew.") from exc
        kind = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        outside = isinstance(exc, sqlite3.OperationalError) and kind != sqlite3.SQLITE_ERROR
        if outside or isinstance(exc, OSError):
            raise IndexStoreError(
                f"{_name(folder)} could not be used: {exc}. What was stored before is unchanged. "
                "Check the free disk space and that the folder can be written, then try again."
            ) from exc
        raise IndexCorruptError(
            f"The database of {_name(folder)} is damaged ({exc}). Restore {NODES_NAME} from a backup, "
            "or move the folder away and add the nodes again."
        ) from exc


def _name(folder: Path | None) -> str:
    return "The vector store in memory" if folder is None else str(folder)


def _mapping(text: str) -> dict[str, Any]:
    value = from_json(text)
    if not isinstance(value, dict):
        raise sqlite3.DatabaseError("stored metadata cannot be read")
    return value
