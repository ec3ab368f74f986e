"""Read and write the rows of an index: papers, what sources say of them, and what is computed from their text.

Functions take an open connection; whoever opened it decides what is one transaction. They decide nothing.
"""

import hashlib
import json
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .database import from_json, read_generation, storable
from .embedding.encoder import Vectors
from .filters import fold
from .paper import Paper, paper_id
from .schema import PAPER_COLUMNS
from .terms import indexed_terms

MAX_SPARE_TEXTS = 10_000  # texts whose vectors are kept after the text is gone: about 70 MB

Keys = npt.NDArray[np.int64]
Halves = npt.NDArray[np.float16]
Span = tuple[int, int]

_COLUMNS = ", ".join(PAPER_COLUMNS)
_LISTED = "(SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class StoredPaper:
    """A paper with what the index computed for it.

    Attributes:
        paper: The paper.
        sentences: Half-open character spans of its sentences in the abstract.
        sentence_vectors: Unit vectors, float32, shape (sentences, dimension).
        passage_vectors: Unit vectors, float32, shape (passages, dimension).
        terms: The terms of its title and abstract; see :mod:`index.terms`.
    """

    paper: Paper
    sentences: tuple[Span, ...]
    sentence_vectors: Vectors
    passage_vectors: Vectors
    terms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Computed:
    """What an embedding model makes of one text, as it is stored.

    Attributes:
        sentences: Half-open character spans in the abstract, in order.
        sentence_vectors: Unit vectors, float16, shape (sentences, dimension).
        passages: Half-open character spans in the abstract, in order.
        passage_vectors: Unit vectors, float16, shape (passages, dimension).
    """

    sentences: tuple[Span, ...]
    sentence_vectors: Halves
    passages: tuple[Span, ...]
    passage_vectors: Halves


@dataclass(frozen=True, slots=True)
class Record:
    """What one source says of one paper.

    Attributes:
        source: Key of the source.
        ordinal: 0, or more if the source lists the paper again.
        paper: What it says.
    """

    source: int
    ordinal: int
    paper: Paper


# -- papers -------------------------------------------------------------------------------------------------


def count_papers(db: sqlite3.Connection) -> int:
    """Return how many papers there are."""
    return int(db.execute("SELECT count(*) FROM papers").fetchone()[0])


def find_key(db: sqlite3.Connection, name: str) -> int | None:
    """Return the key of the paper with this id, or else with this identifier in any of its forms."""
    if "\0" in name or name != storable(name):
        return None  # no stored name is like that, and SQLite's JSON would end at the NUL
    row = db.execute("SELECT key FROM papers WHERE id = ?", (name,)).fetchone()
    if row is None and name.strip():
        forms = json.dumps([name, paper_id(name)])
        row = db.execute(f"SELECT paper FROM names WHERE name IN {_LISTED} ORDER BY paper", (forms,)).fetchone()
    return None if row is None else int(row[0])


def read_paper(db: sqlite3.Connection, key: int) -> Paper | None:
    """Return the paper with this key, if there is one."""
    row = db.execute(f"SELECT {_COLUMNS} FROM papers WHERE key = ?", (key,)).fetchone()
    return None if row is None else _paper(row)


def iter_papers(db: sqlite3.Connection, condition: str, values: Sequence[Any]) -> Iterator[Paper]:
    """Yield the papers that meet an SQL condition, in the order they were added."""
    for row in db.execute(f"SELECT {_COLUMNS} FROM papers WHERE {condition} ORDER BY key", values):
        yield _paper(row)


def find_paper_keys(db: sqlite3.Connection, condition: str, values: Sequence[Any]) -> Keys:
    """Return the keys of the papers that meet an SQL condition, ascending."""
    rows = db.execute(f"SELECT key FROM papers WHERE {condition} ORDER BY key", values)
    return np.fromiter((row[0] for row in rows), dtype=np.int64)


def find_names(db: sqlite3.Connection, names: Iterable[str]) -> list[tuple[str, int]]:
    """Return, of these names, those that a paper is recognised by, each with the paper's key."""
    found = db.execute(f"SELECT name, paper FROM names WHERE name IN {_LISTED}", (json.dumps(list(names)),))
    return [(name, int(key)) for name, key in found]


def names_of(db: sqlite3.Connection, key: int) -> list[str]:
    """Return every name that a paper is recognised by."""
    return [row[0] for row in db.execute("SELECT name FROM names WHERE paper = ?", (key,))]


def insert_paper(db: sqlite3.Connection, paper: Paper, names: Iterable[str]) -> int:
    """Insert a paper's fields, the names it is recognised by, and what filters look for; return its new key."""
    places = ", ".join("?" * len(PAPER_COLUMNS))
    query = f"INSERT INTO papers ({_COLUMNS}, changed) VALUES ({places}, ?)"
    key = int(db.execute(query, (*_fields(paper), read_generation(db) + 1)).lastrowid or 0)
    _write_names(db, key, names)
    _write_facets(db, key, paper)
    return key


def update_paper(db: sqlite3.Connection, key: int, paper: Paper, names: Iterable[str]) -> None:
    """Overwrite a paper's fields and names; what was computed from its text stays."""
    assignments = ", ".join(f"{name} = ?" for name in PAPER_COLUMNS)
    changed = "changed = CASE WHEN title = ? AND abstract = ? THEN changed ELSE ? END"
    text = (paper.title, paper.abstract, read_generation(db) + 1)
    db.execute(f"UPDATE papers SET {assignments}, {changed} WHERE key = ?", (*_fields(paper), *text, key))
    db.execute("DELETE FROM names WHERE paper = ?", (key,))
    _write_names(db, key, names)
    before = _facets_of(db, [key])
    db.execute("DELETE FROM paper_facets WHERE paper = ?", (key,))
    _write_facets(db, key, paper)
    _drop_unused_facets(db, before)


def delete_papers(db: sqlite3.Connection, keys: Sequence[int]) -> None:
    """Delete papers with everything that hangs on them; the vectors of their texts are kept for a while."""
    for key in keys[-MAX_SPARE_TEXTS:]:
        keep_computed(db, key)
    facets, wanted = _facets_of(db, keys), (json.dumps(list(keys)),)
    db.execute(f"DELETE FROM papers WHERE key IN {_LISTED}", wanted)
    _drop_unused_facets(db, facets)
    trim_spare(db)


def _write_names(db: sqlite3.Connection, key: int, names: Iterable[str]) -> None:
    db.executemany("INSERT OR IGNORE INTO names VALUES (?, ?)", [(name, key) for name in names])


def _write_facets(db: sqlite3.Connection, key: int, paper: Paper) -> None:
    facets = _facets(paper)
    db.executemany("INSERT OR IGNORE INTO facets (field, value) VALUES (?, ?)", facets)
    db.executemany(
        "INSERT INTO paper_facets SELECT key, ? FROM facets WHERE field = ? AND value = ?",
        [(key, field, value) for field, value in facets],
    )


def _facets(paper: Paper) -> list[tuple[str, str]]:
    """Return the values of a paper that filters look for, folded, each with its field."""
    values = [("author", name) for name in paper.authors] + [("tag", tag) for tag in paper.tags]
    values += [("venue", paper.venue)] if paper.venue else []
    return list(dict.fromkeys((field, fold(value)) for field, value in values))


def _facets_of(db: sqlite3.Connection, keys: Iterable[int]) -> list[int]:
    query = f"SELECT DISTINCT facet FROM paper_facets WHERE paper IN {_LISTED}"
    return [row[0] for row in db.execute(query, (json.dumps(list(keys)),))]


def _drop_unused_facets(db: sqlite3.Connection, facets: Sequence[int]) -> None:
    used = "EXISTS (SELECT 1 FROM paper_facets WHERE facet = facets.key)"
    db.execute(f"DELETE FROM facets WHERE key IN {_LISTED} AND NOT {used}", (json.dumps(facets),))


# -- records: what sources say ------------------------------------------------------------------------------


def source_key(db: sqlite3.Connection, path: str) -> int:
    """Return the key of a source, which is a file's path or a word for what is none; it is noted if it is new."""
    path = storable(path)
    name = fold(path.replace("\\", "/").rpartition("/")[2] or path)
    db.execute("INSERT OR IGNORE INTO sources (path, name) VALUES (?, ?)", (path, name))
    return int(db.execute("SELECT key FROM sources WHERE path = ?", (path,)).fetchone()[0])


def read_records(db: sqlite3.Connection, key: int, paper: Paper) -> list[Record]:
    """Return what each source says of a paper, in order of arrival.

    Args:
        db: The connection.
        key: The paper's key.
        paper: The paper as it is stored.
    """
    query = "SELECT source, ordinal, fields FROM records WHERE paper = ? ORDER BY key"
    return [
        Record(source, ordinal, paper if fields is None else _paper(_row_from_json(fields)))
        for source, ordinal, fields in db.execute(query, (key,))
    ]


def write_records(db: sqlite3.Connection, key: int, paper: Paper, records: Sequence[Record]) -> None:
    """Overwrite what the sources say of a paper.

    Args:
        db: The connection, inside a transaction.
        key: The paper's key.
        paper: The paper as it is stored.
        records: All records, in order of arrival.
    """
    db.execute("DELETE FROM records WHERE paper = ?", (key,))
    rows = [(key, r.source, r.ordinal, None if r.paper == paper else json.dumps(_fields(r.paper))) for r in records]
    db.executemany("INSERT INTO records (paper, source, ordinal, fields) VALUES (?, ?, ?, ?)", rows)


def _row_from_json(fields: str) -> list[Any]:
    row = from_json(fields)
    if not isinstance(row, list) or len(row) != len(PAPER_COLUMNS):
        raise sqlite3.DatabaseError("a stored record cannot be read")
    return row


# -- computed: sentences, passages and their vectors --------------------------------------------------------


def text_digest(paper: Paper) -> bytes:
    """Return 16 bytes that stand for the text that is embedded."""
    return digest_of(paper.title, paper.abstract)


def digest_of(title: str, abstract: str) -> bytes:
    """Return :func:`text_digest` of a paper with this title and abstract."""
    return hashlib.blake2b(f"{len(title)}\n{title}\n{abstract}".encode(), digest_size=16).digest()


def write_computed(db: sqlite3.Connection, key: int, paper: Paper, computed: Computed, prefix: str = "") -> None:
    """Write what was computed for a paper's text, and its terms, in place of what there was.

    Args:
        db: The connection, inside a transaction.
        key: The paper's key.
        paper: The paper.
        computed: What is written. Passages get new keys, which are never reused.
        prefix: "next_" for the tables of a reindexing.
    """
    db.execute(f"DELETE FROM {prefix}passages WHERE paper = ?", (key,))
    terms = indexed_terms(paper.title, paper.abstract)
    row = (key, text_digest(paper), json.dumps(computed.sentences), computed.sentence_vectors.tobytes(), terms)
    db.execute(f"INSERT OR REPLACE INTO {prefix}embeddings VALUES (?, ?, ?, ?, ?)", row)
    spans = zip(computed.passages, computed.passage_vectors, strict=True)
    rows = [(key, start, end, vector.tobytes()) for (start, end), vector in spans]
    db.executemany(f"INSERT INTO {prefix}passages (paper, start, end, vector) VALUES (?, ?, ?, ?)", rows)


def find_computed(db: sqlite3.Connection, digest: bytes, dimension: int) -> Computed | None:
    """Return what was computed for a text, of another paper or of one that is gone."""
    row = db.execute("SELECT paper FROM embeddings WHERE digest = ?", (digest,)).fetchone()
    if row is not None:
        return _read_computed(db, row[0], dimension)
    row = db.execute("SELECT computed FROM spare_embeddings WHERE digest = ?", (digest,)).fetchone()
    return None if row is None else _unpack(row[0], dimension)


def keep_computed(db: sqlite3.Connection, key: int) -> None:
    """Keep what was computed for a paper's text, before the text goes."""
    row = db.execute("SELECT digest, length(vectors), sentences FROM embeddings WHERE paper = ?", (key,)).fetchone()
    if row is None:
        return
    digest, size, sentences = row
    count = len(_spans(sentences))
    if computed := _read_computed(db, key, size // 2 // count if count else 0):
        db.execute("INSERT OR REPLACE INTO spare_embeddings VALUES (?, ?)", (digest, _pack(computed)))


def forget_spare(db: sqlite3.Connection) -> None:
    """Drop the vectors of all texts that are gone."""
    db.execute("DELETE FROM spare_embeddings")


def trim_spare(db: sqlite3.Connection) -> None:
    """Keep the vectors of no more than :data:`MAX_SPARE_TEXTS` texts that are gone, the latest ones."""
    query = "DELETE FROM spare_embeddings WHERE rowid <= (SELECT max(rowid) FROM spare_embeddings) - ?"
    db.execute(query, (MAX_SPARE_TEXTS,))


def _read_computed(db: sqlite3.Connection, key: int, dimension: int) -> Computed | None:
    row = db.execute("SELECT sentences, vectors FROM embeddings WHERE paper = ?", (key,)).fetchone()
    passages = db.execute("SELECT start, end, vector FROM passages WHERE paper = ? ORDER BY key", (key,)).fetchall()
    if row is None or not passages or not dimension:
        return None
    spans = tuple((start, end) for start, end, _ in passages)
    vectors = _halves(b"".join(vector for _, _, vector in passages), dimension)
    return Computed(_spans(row[0]), _halves(row[1], dimension), spans, vectors)


def _pack(computed: Computed) -> bytes:
    """Return one blob: the length of the spans' JSON, the spans, the vectors of sentences and of passages."""
    spans = json.dumps([computed.sentences, computed.passages]).encode()
    vectors = computed.sentence_vectors.tobytes() + computed.passage_vectors.tobytes()
    return struct.pack("<I", len(spans)) + spans + vectors


def _unpack(blob: bytes, dimension: int) -> Computed:
    (length,) = struct.unpack_from("<I", blob)
    sentences, passages = (tuple(map(tuple, spans)) for spans in json.loads(blob[4 : 4 + length]))
    vectors = _halves(blob[4 + length :], dimension)
    return Computed(sentences, vectors[: len(sentences)], passages, vectors[len(sentences) :])


# -- what searches read -------------------------------------------------------------------------------------


def load_papers(db: sqlite3.Connection, keys: Iterable[int], dimension: int) -> dict[int, StoredPaper]:
    """Return the papers with these keys; keys that do not exist are passed over."""
    wanted = (json.dumps(list(keys)),)
    vectors: dict[int, list[bytes]] = {}
    for key, vector in db.execute(f"SELECT paper, vector FROM passages WHERE paper IN {_LISTED} ORDER BY key", wanted):
        vectors.setdefault(key, []).append(vector)
    columns = ", ".join(f"papers.{name}" for name in PAPER_COLUMNS)
    found = db.execute(
        f"SELECT key, sentences, vectors, terms, {columns} "
        f"FROM papers JOIN embeddings ON paper = key WHERE key IN {_LISTED}",
        wanted,
    )
    return {
        row[0]: StoredPaper(
            paper=_paper(row[4:]),
            sentences=_spans(row[1]),
            sentence_vectors=_halves(row[2], dimension).astype(np.float32),
            passage_vectors=_halves(b"".join(vectors[row[0]]), dimension).astype(np.float32),
            terms=frozenset(row[3].split()),
        )
        for row in found
        if row[0] in vectors  # else it is damaged, which an examination says
    }


def iter_passages(
    db: sqlite3.Connection, after: int, dimension: int, rows: int = 4_096
) -> Iterator[tuple[Keys, Keys, Halves]]:
    """Yield the passages with a key greater than ``after``, ascending, some thousand at a time.

    Yields:
        Their keys and the keys of their papers (int64), and their vectors, float16, shape (passages, dimension).
    """
    found = db.execute("SELECT key, paper, vector FROM passages WHERE key > ? ORDER BY key", (after,))
    while some := found.fetchmany(rows):
        if any(len(row[2]) != 2 * dimension for row in some):
            raise sqlite3.DatabaseError(f"a stored vector does not have {dimension} numbers")
        keys, papers = (np.array([row[i] for row in some], dtype=np.int64) for i in (0, 1))
        yield keys, papers, _halves(b"".join(row[2] for row in some), dimension)


def removed_passages(db: sqlite3.Connection, since: int) -> Keys:
    """Return the keys of the passages removed after generation ``since``, as far as the log goes back."""
    rows = db.execute("SELECT key FROM removed_passages WHERE generation > ? ORDER BY key", (since,))
    return np.fromiter((row[0] for row in rows), dtype=np.int64)


def changed_papers(db: sqlite3.Connection, since: int) -> tuple[list[int], list[int]]:
    """Return the keys of the papers whose text is new after generation ``since``, and of those removed after it."""
    changed = db.execute("SELECT key FROM papers WHERE changed > ? ORDER BY key", (since,))
    removed = db.execute("SELECT key FROM removed_papers WHERE generation > ? ORDER BY key", (since,))
    return [row[0] for row in changed], [row[0] for row in removed]


def iter_terms(db: sqlite3.Connection, keys: Iterable[int] | None) -> Iterator[tuple[int, str]]:
    """Yield key and terms of the papers with these keys; of all papers when ``keys`` is None."""
    inside, values = ("1", ()) if keys is None else (f"paper IN {_LISTED}", (json.dumps(list(keys)),))
    yield from db.execute(f"SELECT paper, terms FROM embeddings WHERE {inside} ORDER BY paper", values)


def renew_terms(db: sqlite3.Connection, papers: Iterable[tuple[int, str, str]]) -> None:
    """Compute the terms of papers anew, each given by key, title and abstract."""
    rows = ((indexed_terms(title, abstract), key) for key, title, abstract in papers)
    db.executemany("UPDATE embeddings SET terms = ? WHERE paper = ?", rows)


def iter_texts(db: sqlite3.Connection, after: int = 0, limit: int = -1) -> Iterator[tuple[int, str, str]]:
    """Yield key, title and abstract of the papers with a key greater than ``after``, at most ``limit`` of them."""
    yield from db.execute("SELECT key, title, abstract FROM papers WHERE key > ? ORDER BY key LIMIT ?", (after, limit))


def sample_titles(db: sqlite3.Connection, count: int, seed: int = 0) -> list[str]:
    """Return titles of papers drawn at random, at most ``count``."""
    last = db.execute("SELECT max(key) FROM papers").fetchone()[0] or 0
    # A key that is gone leads to the next one.
    keys = np.random.default_rng(seed).integers(1, max(last, 1) + 1, count).tolist()
    query = "SELECT title FROM papers WHERE key >= ? ORDER BY key LIMIT 1"
    return [db.execute(query, (key,)).fetchone()[0] for key in keys] if last else []


# -- what an examination reads ------------------------------------------------------------------------------


def sentences_fit(sentences: str, vector_bytes: int, abstract: str, dimension: int) -> bool:
    """Whether stored sentences lie in the abstract, in order, and have a vector each."""
    spans = _spans(sentences)
    ends = [place for span in spans for place in span]
    inside = bool(spans) and ends == sorted(ends) and 0 <= ends[0] and ends[-1] <= len(abstract)
    return inside and vector_bytes == 2 * dimension * len(spans)


def count_stale_facets(db: sqlite3.Connection) -> int:
    """Return how many papers filters do not find by just the values that they have."""
    held: dict[int, set[tuple[str, str]]] = {}
    for key, field, value in db.execute(
        "SELECT paper, field, value FROM paper_facets JOIN facets ON facets.key = facet"
    ):
        held.setdefault(key, set()).add((field, value))
    query = f"SELECT key, {_COLUMNS} FROM papers"
    return sum(held.get(key, set()) != set(_facets(_paper(row))) for key, *row in db.execute(query))


def sample_frequencies(db: sqlite3.Connection, count: int, seed: int = 0) -> dict[str, int]:
    """Return how many papers hold each of some terms, drawn at random from all papers."""
    total = count_papers(db)
    drawn = set(np.random.default_rng(seed).integers(0, total, count).tolist()) if total else set()
    sample = {terms.split()[0] for at, (_, terms) in enumerate(iter_terms(db, None)) if at in drawn and terms}
    frequencies = dict.fromkeys(sorted(sample), 0)
    for _, terms in iter_terms(db, None):
        for term in sample.intersection(terms.split()):
            frequencies[term] += 1
    return frequencies


# -- values -------------------------------------------------------------------------------------------------


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
    if any("\0" in name for name in paper.names):  # SQLite's JSON ends there
        raise ValueError("cannot be stored: a name of it holds a NUL character")
    if not isinstance(paper.year, int | None) or abs(paper.year or 0) >= 2**63:
        raise ValueError(f"cannot be stored: the year is {paper.year!r}")
    return _paper(fields)


def _fields(paper: Paper) -> tuple[Any, ...]:
    """Return a paper's values in the order of the columns."""
    lists = (paper.authors, paper.tags, paper.identifiers)
    authors, tags, identifiers = (json.dumps(names, ensure_ascii=False) for names in lists)
    extra = json.dumps(dict(paper.extra))  # ASCII: records hold all kinds of broken Unicode
    return (
        paper.id, paper.title, paper.abstract, authors, paper.year, paper.venue, paper.url, paper.doi, tags, extra,
        identifiers,
    )  # fmt: skip


def _paper(row: Sequence[Any]) -> Paper:
    own_id, title, abstract, authors, year, venue, url, doi, tags, extra, identifiers = row
    names, labels, others = (_texts(value) for value in (authors, tags, identifiers))
    said = from_json(extra)
    if not isinstance(said, dict):
        raise sqlite3.DatabaseError("a stored mapping cannot be read")
    return Paper(own_id, title, abstract, names, year, venue, url, doi, labels, said, others)


def _texts(text: str) -> tuple[str, ...]:
    if text == "[]":
        return ()
    values = from_json(text)
    if not isinstance(values, list):
        raise sqlite3.DatabaseError("a stored list cannot be read")
    return tuple(values)


def _spans(text: str) -> tuple[Span, ...]:
    try:
        return tuple((start, end) for start, end in json.loads(text))
    except (ValueError, TypeError) as exc:
        raise sqlite3.DatabaseError(f"a stored list of spans cannot be read: {exc}") from exc


def _halves(blob: bytes, dimension: int) -> Halves:
    if len(blob) % (2 * dimension):
        raise sqlite3.DatabaseError(f"a stored vector does not have {dimension} numbers")
    return np.frombuffer(blob, dtype=np.float16).reshape(-1, dimension)
