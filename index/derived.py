"""The search files of an index: FAISS and Tantivy, kept in step with SQLite. Searches nothing and writes no paper.

Both are derived from SQLite and stamped with the generation they reflect. They catch up by the logs of what has
changed since; a file that is missing, damaged, of another index, or older than the logs is made anew.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from . import rows
from .database import Database, forget_removals, of_one_epoch, read_generation, read_meta
from .embedding.encoder import Encoder
from .errors import IndexLockedError, IndexStoreError
from .keywords import KeywordIndex
from .lock import writer_lock
from .progress import Progress, silent
from .vectors import GRAPH_FROM, VectorIndex

GRAPH_PROBES = 300  # titles that are searched for, to measure a graph
_KEYWORDS_EVERY_S = 30.0  # of a long add: how old the keyword files of another process can be
_TOLD_EVERY = 2_000
_MANY_VECTORS = 100_000  # fewer are saved in a moment


class Derived:
    """The vector and the keyword index of one folder.

    Args:
        database: The truth.
        encoder: The model that the vectors are of.
        check: Called with each snapshot before it is used; it raises if the vectors are of another model.

    Attributes:
        lock: Held while either index is used or changed.
        vectors: The vector index; use it within :meth:`current`.
        keywords: The keyword index, likewise.
        mended: What was done to an index when the folder was opened, for people, by its name.
    """

    def __init__(self, database: Database, encoder: Encoder, check: Callable[[sqlite3.Connection], None]) -> None:
        self._database, self._folder = database, database.folder
        self._encoder, self._dimension = encoder, encoder.dimension
        self._check = check
        self.lock = threading.RLock()
        self.vectors = VectorIndex(self._dimension)
        self.keywords = KeywordIndex(self._folder / "keywords")
        self.mended: dict[str, str] = {}
        self._keywords_saved_at = time.monotonic()

    def open(self, tell: Progress | None = None) -> None:
        """Load the files, and mend them where they need it. A graph is not made here: that would take minutes."""
        self.vectors = VectorIndex.load(self._folder, self._dimension) or self.vectors
        with self._database.reading() as db:
            generation, found = read_generation(db), self._generations()
            since = {"vectors": _vectors_since(db), "keywords": _logged_since(db)}
        usable = {name: _reaches(other, generation, since[name]) for name, other in found.items()}
        if found["keywords"] == generation and usable["vectors"]:
            with self.current():
                if not self.vectors.stale:
                    return
        where = ""
        try:
            with writer_lock(self._folder):
                self.save(tell)
        except IndexStoreError as exc:
            where = " in memory, the files could not be written,"
            # Another process writes, or the folder is read-only: this process catches up in memory.
            with self.current() as db:
                generation = read_generation(db)
                # A writer will soon leave better keyword files; until then an older generation of them serves.
                waits = of_one_epoch(self.keywords.generation, generation) and isinstance(exc, IndexLockedError)
                if self.keywords.generation != generation and not waits:
                    self._rebuild_keywords(db, tell, in_memory=True)
        for name, other in found.items():
            if other != generation:
                self.mended[name] = f"; {'brought up to date' if usable[name] else 'rebuilt'}{where} when opened"

    @contextmanager
    def current(self) -> Iterator[sqlite3.Connection]:
        """A read transaction of the generation that both indexes are at, with the lock held.

        The keyword index can stay a moment behind what another process has changed.
        """
        with self.lock:
            with self._database.reading() as db:
                if self._catch_up(db, wait=True):
                    yield db
                    return
            # A writer has committed and saved after this snapshot was taken: the next one is newer. If it is not, the
            # database has been replaced by an older one, as from a backup.
            with self._database.reading() as db:
                self._catch_up(db)
                yield db

    def _catch_up(self, db: sqlite3.Connection, *, wait: bool = False) -> bool:
        """Bring both indexes, in memory, to the generation that ``db`` sees.

        Args:
            db: The connection, inside a read transaction.
            wait: Return false if a file is ahead of that, instead of doing without it.
        """
        self._check(db)
        generation = read_generation(db)
        if not self._catch_up_vectors(db, generation, wait=wait):
            return False
        if not of_one_epoch(self.keywords.generation, generation):
            self.keywords.forget()
        if self.keywords.generation != generation:
            self.keywords.reload(generation)
        return True

    def save(self, tell: Progress | None = None, *, graph: bool = False) -> None:
        """Bring the files to the current generation. The write lock of the folder is held.

        Args:
            tell: Told while it takes long.
            graph: Also make or grow the graph, if the index is large enough for one.

        Raises:
            IndexStoreError: If the disk is full or the folder cannot be written. The papers are stored, and this
                process finds them all.
        """
        with self._database.reading() as db:
            with self.lock:
                self._catch_up(db)
            try:
                self._save_keywords(db, tell)
                self._save_vectors(db, tell, graph)
            except (OSError, RuntimeError, ValueError) as exc:  # of FAISS and of Tantivy
                if self.keywords.generation != read_generation(db):  # so that at least this process finds everything
                    with self.lock:
                        self._rebuild_keywords(db, tell, in_memory=True)
                raise IndexStoreError(
                    f"The search files of {self._folder} could not be saved: {exc}. The papers are stored. "
                    "Check the free disk space and that the folder can be written; the files are made again "
                    "when the index is next opened."
                ) from exc
        if self.vectors.saved_generation == self.vectors.generation:
            self._trim_logs()

    def reset(self, names: Iterable[str]) -> None:
        """Throw away files, and what is loaded of them; :meth:`save` makes them anew. The write lock is held.

        Args:
            names: Of what: "vectors", "keywords".
        """
        with self.lock:
            for name in names:
                if name == "vectors":
                    VectorIndex.discard(self._folder)
                    self.vectors = VectorIndex(self._dimension)
                elif name == "keywords":
                    self.keywords.discard()
                if name in ("vectors", "keywords"):
                    self.mended[name] = "; made anew"

    def save_keywords_now_and_then(self) -> None:
        """Save the keyword index if that was last done a while ago. The write lock of the folder is held."""
        if time.monotonic() - self._keywords_saved_at < _KEYWORDS_EVERY_S:
            return
        with self._database.reading() as db:
            try:
                self._save_keywords(db, None)
            except (OSError, RuntimeError, ValueError):
                pass  # the end of the add does it again, and says what is wrong
        self._keywords_saved_at = time.monotonic()

    # -- inside -------------------------------------------------------------------------------------------

    def _generations(self) -> dict[str, int]:
        return {"vectors": self.vectors.generation, "keywords": self.keywords.generation}

    def _catch_up_vectors(self, db: sqlite3.Connection, generation: int, *, wait: bool) -> bool:
        if self.vectors.generation == generation:
            return True
        since = _vectors_since(db)
        reached = _reaches(self.vectors.generation, generation, since)
        if not reached or (self.vectors.stale and VectorIndex.saved_as(self._folder) > self.vectors.saved_generation):
            newer = VectorIndex.load(self._folder, self._dimension)
            ahead = newer is not None and of_one_epoch(newer.generation, generation) and newer.generation > generation
            if ahead and wait:
                return False
            if newer is not None and _reaches(newer.generation, generation, since):
                self.vectors = newer
        if not _reaches(self.vectors.generation, generation, since):
            self.vectors = VectorIndex(self._dimension)
        else:
            self.vectors.remove(rows.removed_passages(db, self.vectors.generation))
        for keys, papers, vectors in rows.iter_passages(db, self.vectors.last_key, self._dimension):
            self.vectors.add(keys, papers, vectors)
        self.vectors.generation = generation
        return True

    def _save_vectors(self, db: sqlite3.Connection, tell: Progress | None, graph: bool) -> None:
        has_graph = self.vectors.graph is not None
        if has_graph and not graph:
            return  # without a graph the file would be worse than it is
        missing = self.vectors.saved_generation < 0 or (graph and self.vectors.wants_graph)
        if not (missing or self.vectors.stale):
            return
        tell = tell or silent
        if len(self.vectors) >= _MANY_VECTORS:
            tell(0, None, "Saving the vectors")
        probes = None
        if graph and len(self.vectors) >= GRAPH_FROM:
            probes = self._encoder.embed_queries(rows.sample_titles(db, GRAPH_PROBES))
        # Nothing changes the index meanwhile: only a writer would, and this is the one. So others go on searching.
        saved = self.vectors.saved(self._folder, probes, lambda done, all_: tell(done, all_, "Linking the vectors"))
        with self.lock:
            self.vectors = saved

    def _save_keywords(self, db: sqlite3.Connection, tell: Progress | None) -> None:
        """Bring the keyword files to the generation that ``db`` sees."""
        generation, known = read_generation(db), self.keywords.generation
        if known == generation:
            return
        if _reaches(known, generation, _logged_since(db)):
            changed, removed = rows.changed_papers(db, known)
            texts = list(rows.iter_terms(db, changed))
            try:
                with self.lock:
                    self.keywords.update([*changed, *removed], texts, generation)
                return
            except (OSError, ValueError):  # the folder was changed or damaged while this process had it open
                pass
        with self.lock:
            self._rebuild_keywords(db, tell)

    def _rebuild_keywords(self, db: sqlite3.Connection, tell: Progress | None, *, in_memory: bool = False) -> None:
        total, tell = rows.count_papers(db), tell or silent

        def texts() -> Iterator[tuple[int, str]]:
            for done, paper in enumerate(rows.iter_terms(db, None)):
                if done and done % _TOLD_EVERY == 0:
                    tell(done, total, "Indexing words")
                yield paper

        rebuild = self.keywords.rebuild_in_memory if in_memory else self.keywords.rebuild
        rebuild(texts(), read_generation(db))

    def _trim_logs(self) -> None:
        """Empty the logs, now that both files are of this generation."""
        with self._database.reading() as db:
            current = read_generation(db) == self.vectors.generation == self.keywords.generation
            needed = _logged_since(db) < self.vectors.generation
        if current and needed:
            with self._database.connection() as db:
                db.execute("BEGIN IMMEDIATE")
                forget_removals(db)
                db.execute("COMMIT")


def _reaches(known: int, generation: int, since: int) -> bool:
    """Whether the logs, which begin with the generation ``since``, lead from ``known`` to ``generation``."""
    return of_one_epoch(known, generation) and since <= known <= generation


def _logged_since(db: sqlite3.Connection) -> int:
    return int(read_meta(db)["logged_since"])


def _vectors_since(db: sqlite3.Connection) -> int:
    """Return the generation from which on the vectors are of today's model, and their removals are logged."""
    return max(_logged_since(db), int(read_meta(db)["vectors_since"]))
