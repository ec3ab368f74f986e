"""A durable, searchable collection of papers in one folder. Knows nothing of questions, prompts or answers.

SQLite is the one source of truth: papers, sentence offsets, passages and their vectors. The FAISS file and the
keyword folder are derived from it and stamped with the generation they reflect, so they can be lost, stale or
damaged without a wrong result: they are caught up, or built again.

Every change is one SQLite transaction and raises the generation. A process killed at any instant loses at most
the batch it was embedding. One process writes at a time (:mod:`index.lock`); any number read, each from one
consistent generation.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import database
from .database import FORMAT_VERSION, StoredPaper, read_generation, read_meta, read_vectors
from .embedding.encoder import Encoder, Vectors
from .errors import IndexLockedError, IndexMismatchError, IndexStoreError
from .filters import Where
from .ingest import Ingest, IngestReport, Progress
from .keywords import KeywordIndex
from .location import DATABASE_NAME, index_exists, not_found
from .lock import current_writer, writer_lock
from .paper import Paper
from .readers import Rejected
from .vectors import Keys, VectorIndex, difference

_ROWS_PER_READ = 2_000
_NO_KEYS: Keys = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Candidates:
    """What one search found, all from one generation of the index.

    Attributes:
        papers: Stored papers by key; the union of both searches.
        by_meaning: Keys by dense search, best first.
        by_keyword: Keys by keyword search, best first.
        document_frequency: For each question term, how many papers of the collection hold it.
        total: Papers in the collection.
    """

    papers: dict[int, StoredPaper]
    by_meaning: tuple[int, ...]
    by_keyword: tuple[int, ...]
    document_frequency: dict[str, int]
    total: int


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of :meth:`PaperStore.check`."""

    name: str
    ok: bool
    detail: str


class PaperStore:
    """A collection of papers in a folder; see the module's docstring for what it promises.

    Open one with :meth:`open`. It may be used from several threads.
    """

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        self.folder = folder
        self.encoder = encoder
        self._vectors_path = folder / "vectors.faiss"
        self._lock = threading.RLock()
        # Threads of one store take turns in writing. Reentrant, so that a thread that writes while it adds is
        # refused by the lock of the folder instead of waiting for itself.
        self._write_lock = threading.RLock()
        self._vectors = VectorIndex(encoder.dimension)
        self._keywords = KeywordIndex(folder / "keywords")
        self._unfinished: set[str] = set()  # sources of adds that did not come to their end
        self._mended: dict[str, str] = {}  # what was done to a derived index when it was opened, by its name

    @classmethod
    def open(cls, folder: Path, encoder: Encoder, *, create: bool = False) -> "PaperStore":
        """Open the index in ``folder``, checking that it fits; derived files are mended when they need it.

        Args:
            folder: The index folder.
            encoder: The embedding model; it must be the one the index was made with.
            create: Make an empty index if there is none.

        Raises:
            IndexNotFoundError: If there is no index and ``create`` is false.
            IndexMismatchError: If it was made by another version or with another embedding model.
            IndexCorruptError: If the database cannot be read.
            IndexStoreError: If ``folder`` is a file, or cannot be read or made.
        """
        exists = index_exists(folder)
        if not exists:
            if not create:
                raise not_found(folder)
            database.create(folder, encoder)
        store = cls(folder, encoder)
        with store._read() as db:
            meta = read_meta(db)
        store._check_manifest(meta)
        if (sources := database.unfinished(meta)) and current_writer(folder) is None:
            store._unfinished = set(sources.values())
        store._load_derived()
        if not exists:
            store._mended.clear()  # nothing was wrong: there was nothing
        return store

    @property
    def interrupted(self) -> str | None:
        """The sources of earlier adds that did not come to their end, joined by commas; None when all did."""
        return ", ".join(sorted(self._unfinished)) or None

    # -- reading ------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        with self._read() as db:
            return database.count_papers(db)

    def paper(self, paper_id: str) -> Paper:
        """Return one paper.

        Raises:
            KeyError: If there is none with this id.
        """
        with self._read() as db:
            _, paper = database.find_paper(db, paper_id)
        if paper is None:
            raise KeyError(paper_id)
        return paper

    def papers(self, where: Where | None = None) -> list[Paper]:
        """Return the papers that pass the filter, in the order they were added."""
        with self._read() as db:
            return database.list_papers(db, *(where or Where()).to_sql())

    def candidates(self, vector: Vectors, terms: Sequence[str], limit: int, where: Where | None = None) -> Candidates:
        """Search by meaning and by keyword, and load what was found, all from one generation.

        Args:
            vector: Unit vector of the question, float32, shape (dimension,).
            terms: Terms of the question, from :func:`index.terms.question_terms`.
            limit: Papers per search, at least 1.
            where: Filter; it is applied inside both searches.
        """
        with self._read() as db:
            total = database.count_papers(db)
            limit = max(1, min(limit, total))
            with self._lock:  # both searches must see the generation this transaction sees
                self._catch_up(db)
                papers, passages = _allowed(db, where)
                by_meaning = self._nearest_papers(db, vector, limit, passages)
                by_keyword = self._keywords.search(terms, limit, papers)
                frequencies = self._keywords.document_frequencies(terms)
            found = dict.fromkeys([*by_meaning, *by_keyword])
            # Another process's keyword index can be a moment older than this snapshot: what is gone is left out.
            stored = database.load_papers(db, found, self.encoder.dimension)
        return Candidates(
            papers=stored,
            by_meaning=tuple(key for key in by_meaning if key in stored),
            by_keyword=tuple(key for key in by_keyword if key in stored),
            document_frequency=frequencies,
            total=total,
        )

    def check(self) -> list[Check]:
        """Examine everything that is stored; see ``citewell doctor``. Changes nothing.

        Search files that were lost or damaged have been mended when the index was opened; the detail says so.
        """
        with self._read() as db, self._lock:
            self._catch_up(db)
            verdict = str(db.execute("PRAGMA integrity_check").fetchone()[0])
            papers = database.count_papers(db)
            orphans = db.execute("SELECT count(*) FROM passages WHERE paper NOT IN (SELECT key FROM papers)")
            bare = db.execute("SELECT count(*) FROM papers WHERE key NOT IN (SELECT paper FROM passages)")
            stray, unsearchable = orphans.fetchone()[0], bare.fetchone()[0]
            keys, vectors = read_vectors(db, None, self.encoder.dimension)
            adding = ", ".join(sorted(set(database.unfinished(read_meta(db)).values())))
            order = np.argsort(self._vectors.keys())
            same = np.array_equal(self._vectors.keys()[order], keys)
            same = same and np.array_equal(self._vectors.vectors()[order], vectors)
            known = len(self._keywords)
            current = self._keywords.generation == read_generation(db)
        writer = current_writer(self.folder) if adding else None
        return [
            Check("database", verdict == "ok", f"SQLite integrity check: {verdict}"),
            Check(
                "papers",
                stray == unsearchable == 0,
                f"{papers} papers, {stray} passages without a paper, {unsearchable} papers without a passage",
            ),
            Check(
                "vectors",
                bool(same),
                f"{len(order)} vectors in FAISS, {len(keys)} in SQLite, {'equal' if same else 'different'}"
                + self._mended.get("vectors", ""),
            ),
            Check(
                "keywords",
                known == papers and current,
                f"{known} papers in the keyword index, {papers} in SQLite{'' if current else ', not up to date'}"
                + self._mended.get("keywords", ""),
            ),
            _check_last_add(adding, writer),
        ]

    # -- writing ------------------------------------------------------------------------------------------

    def add(
        self, records: Iterable[Paper | Rejected], source: str = "papers", progress: Progress | None = None
    ) -> IngestReport:
        """Add papers, or update those whose id is known. Equal papers cost nothing.

        The work is committed in batches: what is written stays written if the call is interrupted, and
        calling it again with the same records continues where it stopped.

        Args:
            records: Papers, and rejected records, which are passed on to the report.
            source: Where they come from, for messages.
            progress: Told after each batch.

        Raises:
            IndexLockedError: If another process is writing.
            IndexStoreError: If the disk is full or the folder cannot be written; earlier batches stay.
        """
        total = len(records) if isinstance(records, Sequence) else None
        with self._writing() as touched:
            ingest = Ingest(self.encoder, self._read, self._write_transaction, total, progress)
            with self._connection() as db:
                database.set_unfinished(db, source)
            self._unfinished.add(source)
            try:
                for record in records:
                    ingest.take(record)
                ingest.flush()
            finally:
                touched.update(ingest.touched)
            with self._connection() as db:
                database.set_finished(db, source)
            self._unfinished.discard(source)
        return ingest.report()

    def delete(self, ids: Iterable[str]) -> int:
        """Delete papers by id and return how many there were. Unknown ids are passed over.

        Raises:
            IndexLockedError: If another process is writing.
        """
        ids = list(ids)
        with self._writing() as touched:
            with self._write_transaction() as db:
                gone = database.delete_papers(db, ids)
            touched.update(gone)
        return len(gone)

    # -- inside -------------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[set[int]]:
        """Hold the write lock, and save the derived indexes at the end, also when it is an early one.

        Yields:
            A set for the keys of the papers that were added, changed or deleted.
        """
        touched: set[int] = set()
        with self._write_lock, writer_lock(self.folder):
            with self._read() as db, self._lock:
                self._catch_up(db)  # another process may have written since
                known = self._keywords.generation == read_generation(db)
            try:
                yield touched
            except BaseException:
                with suppress(IndexStoreError):  # what stopped the writing is what is worth telling
                    self._save_derived(touched if known else None)
                raise
            self._save_derived(touched if known else None)

    @contextmanager
    def _write_transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one read transaction: everything read through it is of one generation."""
        with self._connection() as db:
            db.execute("BEGIN")
            try:
                yield db
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with database.translated(self.folder), database.connect(self.folder / DATABASE_NAME) as db:
            yield db

    def _save_derived(self, touched: set[int] | None) -> None:
        """Bring the files of both derived indexes to the current generation. The write lock is held.

        Args:
            touched: The papers that changed since the keyword index's generation; None if not known.
        """
        with self._read() as db, self._lock:
            self._catch_up_vectors(db)
            generation = read_generation(db)
            try:
                self._vectors.save(self._vectors_path)
                if touched is not None and self._keywords.generation != generation:
                    touched = self._update_keywords(db, touched, generation)
                if touched is None:
                    self._keywords.rebuild(database.keyword_texts(db, None), generation)
            except (OSError, RuntimeError, ValueError) as exc:  # of FAISS and of Tantivy
                if self._keywords.generation != generation:  # so that at least this process finds everything
                    self._keywords.rebuild_in_memory(database.keyword_texts(db, None), generation)
                raise IndexStoreError(
                    f"The search files of {self.folder} could not be saved: {exc}. The papers are stored. "
                    "Check the free disk space and that the folder can be written; the files are made again "
                    "when the index is next opened."
                ) from exc

    def _update_keywords(self, db: sqlite3.Connection, touched: set[int], generation: int) -> set[int] | None:
        """Bring the keyword index to ``generation``; return None if it must be built again instead."""
        try:
            self._keywords.update(touched, database.keyword_texts(db, touched), generation)
        except (OSError, ValueError):  # the folder was changed or damaged while this process had it open
            return None
        return touched

    def _load_derived(self) -> None:
        self._vectors = VectorIndex.load(self._vectors_path, self.encoder.dimension) or self._vectors
        with self._read() as db:
            generation = read_generation(db)
        found = {"vectors": self._vectors.generation, "keywords": self._keywords.generation}
        stale = {name: other for name, other in found.items() if other != generation}
        if not stale:
            return
        where = ""
        try:
            with writer_lock(self.folder):
                self._save_derived(None if "keywords" in stale else set())
        except IndexStoreError as exc:
            where = " in memory, the files could not be written,"
            # Another process writes, or the folder is read-only: this process catches up in memory.
            with self._read() as db, self._lock:
                self._catch_up(db)
                generation = read_generation(db)
                # A writer will soon leave better keyword files; until then an older generation of them serves.
                usable = self._keywords.generation >= 0 and isinstance(exc, IndexLockedError)
                if self._keywords.generation != generation and not usable:
                    self._keywords.rebuild_in_memory(database.keyword_texts(db, None), generation)
        for name, other in stale.items():
            kept = name == "vectors" and database.of_one_index(other, generation)  # else the whole was made again
            self._mended[name] = f"; {'brought up to date' if kept else 'rebuilt'}{where} when opened"

    def _catch_up(self, db: sqlite3.Connection) -> None:
        """Bring both derived indexes, in memory, to the generation that ``db`` sees. The lock is held."""
        self._catch_up_vectors(db)
        generation = read_generation(db)
        if not database.of_one_index(self._keywords.generation, generation):
            self._keywords.forget()
        if self._keywords.generation != generation:
            self._keywords.reload()

    def _catch_up_vectors(self, db: sqlite3.Connection) -> None:
        generation = read_generation(db)
        if self._vectors.generation == generation:
            return
        if not database.of_one_index(self._vectors.generation, generation):
            self._vectors = VectorIndex(self.encoder.dimension)
        wanted = [row[0] for row in db.execute("SELECT key FROM passages ORDER BY key")]
        removed, missing = difference(self._vectors.keys(), wanted)
        for start in range(0, len(missing), _ROWS_PER_READ):
            keys, vectors = read_vectors(db, missing[start : start + _ROWS_PER_READ], self.encoder.dimension)
            self._vectors.update(_NO_KEYS, keys, vectors, self._vectors.generation)
        nothing = np.empty((0, self.encoder.dimension), dtype=np.float32)
        self._vectors.update(removed, _NO_KEYS, nothing, generation)

    def _nearest_papers(self, db: sqlite3.Connection, vector: Vectors, limit: int, allowed: Keys | None) -> list[int]:
        """Return the keys of the ``limit`` papers whose best passage is nearest, best first."""
        wanted = 2 * limit
        while True:
            keys, _ = self._vectors.search(vector, wanted, allowed)
            owners = database.passage_owners(db, keys)
            papers = list(dict.fromkeys(owners[int(key)] for key in keys if int(key) in owners))
            if len(papers) >= limit or len(keys) < wanted:
                return papers[:limit]
            wanted *= 2

    def _check_manifest(self, meta: dict[str, str]) -> None:
        try:
            version, built = int(meta["format_version"]), json.loads(meta.get("encoder", "{}"))
        except (KeyError, ValueError) as exc:
            raise database.not_ours(self.folder, f"its manifest lacks a usable entry: {exc}") from exc
        if version != FORMAT_VERSION:
            age = "a newer" if version > FORMAT_VERSION else "an older"
            raise IndexMismatchError(
                f"{self.folder} has index format {version}, written by {age} Citewell; this one reads "
                f"{FORMAT_VERSION}. Use the version that wrote it, or add the papers to a new index: "
                "citewell add FILE --index NEW.idx"
            )
        asked = self.encoder.identity
        if built != asked:
            differing = [name for name in asked if built.get(name) != asked[name]]
            shown = ", ".join(f"{name} {built.get(name)!r} against {asked[name]!r}" for name in differing)
            raise IndexMismatchError(
                f"{self.folder} was built with {built.get('model_name')}, the settings ask for "
                f"{asked['model_name']} ({shown}). Open it with the model it was built with, or add the papers to "
                "a new index: citewell add FILE --index NEW.idx"
            )


def _allowed(db: sqlite3.Connection, where: Where | None) -> tuple[list[int] | None, Keys | None]:
    """Return the paper keys and passage keys that pass the filter; None for all."""
    if where is None:
        return None, None
    condition, values = where.to_sql()
    papers = [row[0] for row in db.execute(f"SELECT key FROM papers WHERE {condition}", values)]
    inside = f"SELECT key FROM passages WHERE paper IN (SELECT key FROM papers WHERE {condition})"
    return papers, np.array([row[0] for row in db.execute(inside, values)], dtype=np.int64)


def _check_last_add(adding: str, writer: str | None) -> Check:
    if not adding:
        return Check("last add", True, "nothing was interrupted")
    if writer is not None:
        return Check("last add", True, f"{writer} is adding {adding} now")
    return Check("last add", False, f"adding {adding} was interrupted; add it again to finish")
