"""The SQLite database of an index: its tables, and reading and writing their rows. Decides nothing.

Functions take an open connection; whoever opened it decides what is one transaction.
"""

import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .embedding.encoder import Encoder, Vectors
from .errors import IndexCorruptError, IndexStoreError
from .filters import fold
from .location import DATABASE_NAME, not_found
from .lock import writer_lock
from .paper import Paper
from .vectors import Keys

FORMAT_VERSION = 1
# Each index counts its generations from a random multiple of this, so that search files of one index are never
# taken for those of another whose database was copied over its own.
_GENERATIONS_PER_INDEX = 2**32
_ADDING = "adding"  # key of the manifest, alone (as the first versions wrote it) or before the name of a source

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE papers (
    key INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    abstract TEXT NOT NULL,
    authors TEXT NOT NULL,
    year INTEGER,
    venue TEXT NOT NULL,
    url TEXT NOT NULL,
    doi TEXT NOT NULL,
    tags TEXT NOT NULL,
    extra TEXT NOT NULL,
    sentences TEXT NOT NULL,                -- [[start, end], ...] into the abstract
    sentence_vectors BLOB NOT NULL          -- float16, shape (sentences, dimension)
);
CREATE TABLE passages (
    key INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused: FAISS ids
    paper INTEGER NOT NULL REFERENCES papers(key) ON DELETE CASCADE,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    vector BLOB NOT NULL                    -- float16, shape (dimension,)
);
CREATE INDEX passages_of_paper ON passages(paper);
"""
# What can go wrong around a sound database: the disk, permissions, other programs.
_OUTSIDE = frozenset(
    (
        sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL,
    )
)  # fmt: skip
_PAPER_COLUMNS = "id, title, abstract, authors, year, venue, url, doi, tags, extra"


@dataclass(frozen=True, slots=True)
class StoredPaper:
    """A paper with what the index computed for it.

    Attributes:
        paper: The paper.
        sentences: Half-open character spans of its sentences in the abstract.
        sentence_vectors: Unit vectors, float32, shape (sentences, dimension).
        passage_vectors: Unit vectors, float32, shape (passages, dimension).
    """

    paper: Paper
    sentences: tuple[tuple[int, int], ...]
    sentence_vectors: Vectors
    passage_vectors: Vectors


@contextmanager
def translated(folder: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, saying what is safe and what to do next."""
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as exc:  # the latter when a damaged name is in the message
        if getattr(exc, "sqlite_errorcode", 0) & 0xFF in _OUTSIDE:  # the low byte is the kind of error
            if not (folder / DATABASE_NAME).exists():
                raise not_found(folder) from exc
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


def not_ours(folder: Path, why: str) -> IndexCorruptError:
    """Return the error for a database that something else has written."""
    return IndexCorruptError(f"{folder} holds a database that is not a Citewell index ({why}). Name another folder.")


@contextmanager
def connect(path: Path, *, create: bool = False) -> Iterator[sqlite3.Connection]:
    """Open a connection in autocommit mode; transactions are begun by hand."""
    mode = "mode=rwc" if create else "mode=rw"
    if not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists():
        # SQLite cannot put its log beside the file, and without a log nobody is writing: the file is the database.
        mode = "mode=ro&immutable=1"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", timeout=30, isolation_level=None, uri=True)
    try:
        db.create_function("fold", 1, fold, deterministic=True)
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA synchronous = FULL")  # a commit survives a power cut
        yield db
    finally:
        db.close()


def create(folder: Path, encoder: Encoder) -> None:
    """Make an empty index. The database appears under its name only when it is complete."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise IndexStoreError(
            f"Cannot make the index folder {folder}: {exc.strerror or exc}. Name another one."
        ) from exc
    with writer_lock(folder), translated(folder):
        target, draft = folder / DATABASE_NAME, folder / f"{DATABASE_NAME}.new"
        if target.exists():  # another process was faster
            return
        draft.unlink(missing_ok=True)
        with connect(draft, create=True) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(_SCHEMA)
            generation = str(secrets.randbits(30) * _GENERATIONS_PER_INDEX)
            identity = json.dumps(encoder.identity)
            meta = {"format_version": str(FORMAT_VERSION), "generation": generation, "encoder": identity}
            db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        draft.replace(target)


def read_meta(db: sqlite3.Connection) -> dict[str, str]:
    """Return the manifest."""
    return dict(db.execute("SELECT key, value FROM meta"))


def read_generation(db: sqlite3.Connection) -> int:
    """Return the generation this connection sees."""
    return int(db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()[0])


def of_one_index(generation: int, other: int) -> bool:
    """Tell whether two generations are of one index, so that equal keys mean equal rows."""
    return generation // _GENERATIONS_PER_INDEX == other // _GENERATIONS_PER_INDEX


def keyword_texts(db: sqlite3.Connection, keys: Iterable[int] | None) -> Iterator[tuple[int, str]]:
    """Yield key and text of the papers with these keys; of all papers when ``keys`` is None."""
    inside = "1" if keys is None else "key IN (SELECT value FROM json_each(?))"
    values = () if keys is None else (json.dumps(list(keys)),)
    for key, title, abstract in db.execute(
        f"SELECT key, title, abstract FROM papers WHERE {inside} ORDER BY key", values
    ):
        yield key, f"{title}\n{abstract}"


def passage_owners(db: sqlite3.Connection, passages: Keys) -> dict[int, int]:
    """Return the paper of each passage that exists."""
    wanted = json.dumps(passages.tolist())
    return dict(db.execute("SELECT key, paper FROM passages WHERE key IN (SELECT value FROM json_each(?))", (wanted,)))


def read_vectors(db: sqlite3.Connection, keys: Keys | None, dimension: int) -> tuple[Keys, Vectors]:
    """Read passage vectors in order of key; all of them when ``keys`` is None."""
    if keys is None:
        rows = db.execute("SELECT key, vector FROM passages ORDER BY key").fetchall()
    else:
        inside = "SELECT key, vector FROM passages WHERE key IN (SELECT value FROM json_each(?)) ORDER BY key"
        rows = db.execute(inside, (json.dumps(keys.tolist()),)).fetchall()
    return np.array([row[0] for row in rows], dtype=np.int64), _from_blob(b"".join(row[1] for row in rows), dimension)


def find_paper(db: sqlite3.Connection, paper_id: str) -> tuple[int | None, Paper | None]:
    """Return the key and the paper with this id; None and None if there is none."""
    row = db.execute(f"SELECT key, {_PAPER_COLUMNS} FROM papers WHERE id = ?", (paper_id,)).fetchone()
    return (None, None) if row is None else (int(row[0]), _paper(row[1:]))


def list_papers(db: sqlite3.Connection, condition: str, values: Sequence[Any]) -> list[Paper]:
    """Return the papers that meet an SQL condition, in the order they were added."""
    query = f"SELECT {_PAPER_COLUMNS} FROM papers WHERE {condition} ORDER BY key"
    return [_paper(row) for row in db.execute(query, values)]


def count_papers(db: sqlite3.Connection) -> int:
    """Return how many papers there are."""
    return int(db.execute("SELECT count(*) FROM papers").fetchone()[0])


def set_meta(db: sqlite3.Connection, key: str, value: str | None) -> None:
    """Write one entry of the manifest; None removes it."""
    if value is None:
        db.execute("DELETE FROM meta WHERE key = ?", (key,))
    else:
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def unfinished(meta: Mapping[str, str]) -> dict[str, str]:
    """Return the entries of a manifest that name the source of an add that has not come to its end, by key."""
    return {key: source for key, source in meta.items() if key == _ADDING or key.startswith(f"{_ADDING} ")}


def set_unfinished(db: sqlite3.Connection, source: str) -> None:
    """Note that an add of ``source`` has begun."""
    set_meta(db, f"{_ADDING} {source}", source)


def set_finished(db: sqlite3.Connection, source: str) -> None:
    """Take back :func:`set_unfinished`; notes of other sources stay."""
    for key, named in unfinished(read_meta(db)).items():
        if named == source:
            set_meta(db, key, None)


def write_text(
    db: sqlite3.Connection,
    key: int | None,
    paper: Paper,
    sentences: dict[tuple[int, int], Vectors],
    passages: Sequence[tuple[int, int, Vectors]],
) -> int:
    """Insert a paper with all that was computed for it, or overwrite the one with this key; return its key.

    Args:
        db: Inside a transaction.
        key: The paper to overwrite; None to insert.
        paper: Its fields.
        sentences: Unit vector of each sentence, by its span in the abstract, in order.
        passages: Start, end and unit vector of each passage. They get new keys, which are never reused.
    """
    spans = json.dumps(list(sentences))
    blob = np.stack(list(sentences.values())).astype(np.float16).tobytes()
    if key is None:
        places = ", ".join("?" * len(_PAPER_COLUMNS.split(", ")))
        query = f"INSERT INTO papers ({_PAPER_COLUMNS}, sentences, sentence_vectors) VALUES ({places}, ?, ?)"
        key = int(db.execute(query, (*_fields(paper), spans, blob)).lastrowid or 0)
    else:
        write_fields(db, key, paper)
        db.execute("UPDATE papers SET sentences = ?, sentence_vectors = ? WHERE key = ?", (spans, blob, key))
        db.execute("DELETE FROM passages WHERE paper = ?", (key,))
    rows = [(key, start, end, vector.astype(np.float16).tobytes()) for start, end, vector in passages]
    db.executemany("INSERT INTO passages (paper, start, end, vector) VALUES (?, ?, ?, ?)", rows)
    return key


def write_fields(db: sqlite3.Connection, key: int, paper: Paper) -> None:
    """Overwrite a paper's fields; what was computed from its text stays."""
    assignments = ", ".join(f"{name} = ?" for name in _PAPER_COLUMNS.split(", "))
    db.execute(f"UPDATE papers SET {assignments} WHERE key = ?", (*_fields(paper), key))


def delete_papers(db: sqlite3.Connection, ids: Iterable[str]) -> list[int]:
    """Delete papers by id and return their keys; unknown ids are passed over."""
    wanted = (json.dumps(list(dict.fromkeys(ids))),)
    inside = "id IN (SELECT value FROM json_each(?))"
    gone = [int(row[0]) for row in db.execute(f"SELECT key FROM papers WHERE {inside}", wanted)]
    db.execute(f"DELETE FROM papers WHERE {inside}", wanted)
    return gone


def load_papers(db: sqlite3.Connection, keys: Iterable[int], dimension: int) -> dict[int, StoredPaper]:
    """Return the papers with these keys; keys that do not exist are passed over."""
    loaded: dict[int, StoredPaper] = {}
    for key in keys:
        query = f"SELECT sentences, sentence_vectors, {_PAPER_COLUMNS} FROM papers WHERE key = ?"
        row = db.execute(query, (key,)).fetchone()
        if row is None:
            continue
        vectors = db.execute("SELECT vector FROM passages WHERE paper = ? ORDER BY key", (key,))
        loaded[key] = StoredPaper(
            paper=_paper(row[2:]),
            sentences=tuple((start, end) for start, end in _from_json(row[0])),
            sentence_vectors=_from_blob(row[1], dimension),
            passage_vectors=_from_blob(b"".join(blob for (blob,) in vectors), dimension),
        )
    return loaded


def as_stored(paper: Paper) -> Paper:
    """Return ``paper`` as it will be read back: in JSON, a tuple of ``extra`` is a list.

    Raises:
        ValueError: If it cannot be stored; the message says why.
    """
    try:
        fields = _fields(paper)
        for value in fields:
            if isinstance(value, str):
                value.encode()
    except (TypeError, UnicodeEncodeError, RecursionError) as exc:
        raise ValueError(f"cannot be stored: {exc}") from exc
    if not isinstance(paper.year, int | None) or abs(paper.year or 0) >= 2**63:
        raise ValueError(f"cannot be stored: the year is {paper.year!r}")
    return _paper(fields)


def _fields(paper: Paper) -> tuple[Any, ...]:
    """Return a paper's values in the order of ``_PAPER_COLUMNS``."""
    authors, tags = (json.dumps(names, ensure_ascii=False) for names in (paper.authors, paper.tags))
    extra = json.dumps(dict(paper.extra))  # ASCII: records hold all kinds of broken Unicode
    return (
        paper.id, paper.title, paper.abstract, authors, paper.year, paper.venue, paper.url, paper.doi, tags, extra,
    )  # fmt: skip


def _paper(row: Sequence[Any]) -> Paper:
    paper_id, title, abstract, authors, year, venue, url, doi, tags, extra = row
    names, labels = tuple(_from_json(authors)), tuple(_from_json(tags))
    return Paper(paper_id, title, abstract, names, year, venue, url, doi, labels, _from_json(extra))


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, TypeError) as exc:
        raise sqlite3.DatabaseError(f"a stored list cannot be read: {exc}") from exc


def _from_blob(blob: bytes, dimension: int) -> Vectors:
    if len(blob) % (2 * dimension):
        raise sqlite3.DatabaseError(f"a stored vector does not have {dimension} numbers")
    return np.frombuffer(blob, dtype=np.float16).astype(np.float32).reshape(-1, dimension)
