"""A durable, searchable collection of papers in one folder. Knows nothing of questions, prompts or answers.

SQLite is the one source of truth: papers, what each source says of them, sentence offsets, passages and their vectors.
The FAISS file and the keyword folder are derived from it (:mod:`index.derived`) and stamped with the generation they
reflect, so they can be lost, stale or damaged without a wrong result.

Every change is one SQLite transaction and raises the generation. A process killed at any instant loses at most the
encoder's ``bulk_size`` of papers that it was embedding and writing. One process writes at a time (:mod:`index.lock`);
any number read, each from one consistent generation.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np

from . import database, doctor, rows
from .computing import PassageSettings
from .database import Database, read_generation, read_meta
from .derived import Derived
from .doctor import Check
from .embedding.encoder import Encoder, Vectors
from .errors import ConfigError, IndexLockedError, IndexMismatchError, IndexStoreError
from .filters import Where
from .ingest import Ingest, IngestReport
from .location import index_exists, not_found
from .lock import current_writer, writer_lock
from .paper import Paper
from .progress import Progress
from .readers import Rejected
from .reindex import change_over, embed_anew, renew_terms
from .rows import Keys, StoredPaper
from .schema import FORMAT_VERSION
from .terms import analysis, one_slip_apart
from .vectors import Mask

SHORTEST_SLIP = 6  # letters of a term that may be mistyped
SLIPS_LOOKED_AT = 200  # papers with a term one slip away
_FILTERS_KEPT = 32


@dataclass(frozen=True, slots=True)
class Candidates:
    """What one search found, all papers from one generation of the index.

    Keywords can be a moment behind while another process adds papers; papers that are gone are left out.

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


class PaperStore:
    """A collection of papers in a folder; see the module's docstring for what it promises.

    Open one with :meth:`open`. It may be used from several threads.
    """

    def __init__(self, folder: Path, encoder: Encoder, passages: PassageSettings) -> None:
        self.folder = folder
        self.encoder = encoder
        self.passages = passages
        self._database = Database(folder)
        self._derived = Derived(self._database, encoder, self._check_model)
        # Threads of one store take turns in writing. Reentrant, so that a thread that writes while it adds is
        # refused by the lock of the folder instead of waiting for itself.
        self._write_lock = threading.RLock()
        self._unfinished: set[str] = set()  # sources of adds that did not come to their end
        self._vectors_since: str | None = None  # of the index whose manifest was checked last
        self._count = (-1, 0)  # a generation, and how many papers it has
        self._filters: dict[tuple[int, Where], tuple[Keys, Mask]] = {}

    @classmethod
    def open(
        cls,
        folder: Path,
        encoder: Encoder,
        *,
        create: bool = False,
        passage_tokens: int | None = None,
        tell: Progress | None = None,
    ) -> Self:
        """Open the index in ``folder``, checking that it fits; derived files are mended when they need it.

        Args:
            folder: The index folder.
            encoder: The embedding model; it must be the one the index was made with.
            create: Make an empty index if there is none.
            passage_tokens: Tokens of title and passage together, at most; it must be what the index was made with.
                None: what the index was made with, or for a new one the encoder's own limit.
            tell: Told while mending takes long.

        Raises:
            IndexNotFoundError: If there is no index and ``create`` is false.
            IndexMismatchError: If it was made by another version, embedding model or passage settings.
            ConfigError: If ``passage_tokens`` is more than the encoder reads.
            IndexCorruptError: If the database cannot be read.
            IndexStoreError: If ``folder`` is a file, or cannot be read or made.
        """
        exists = index_exists(folder)
        if not exists:
            if not create:
                raise not_found(folder)
            settings = _passage_settings(encoder, passage_tokens)
            database.create(folder, manifest(encoder, settings))
        with Database(folder).reading() as db:
            meta = read_meta(db)
        store = cls(folder, encoder, _checked_manifest(folder, meta, encoder, passage_tokens))
        if (sources := database.unfinished_sources(meta)) and current_writer(folder) is None:
            store._unfinished = sources
        if meta.get("terms") != analysis():  # another version read the words
            with writer_lock(folder):
                renew_terms(store._database, tell)
        store._derived.open(tell)
        if not exists:
            store._derived.mended.clear()  # nothing was wrong: there was nothing
        return store

    @classmethod
    def reindexed(
        cls, folder: Path, encoder: Encoder, *, passage_tokens: int | None = None, progress: Progress | None = None
    ) -> "PaperStore":
        """Open an index that was made with another model or other passages, after changing it; see :meth:`reindex`.

        Raises:
            IndexNotFoundError: If there is no index.
            IndexMismatchError: If it was made by another version.
        """
        if not index_exists(folder):
            raise not_found(folder)
        store = cls(folder, encoder, _passage_settings(encoder, passage_tokens))
        store.reindex(encoder, passage_tokens, progress)
        return store

    @property
    def interrupted(self) -> str | None:
        """The sources of earlier adds that did not come to their end, joined by commas; None when all did."""
        return ", ".join(sorted(self._unfinished)) or None

    def close(self) -> None:
        """Close the files that nobody uses. Using the store again opens them again."""
        self._database.close()

    # -- reading ------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        with self._database.reading() as db:
            return self._count_papers(db)

    def paper(self, paper_id: str) -> Paper:
        """Return one paper, by its id or another of its identifiers.

        Raises:
            KeyError: If there is none with this id.
        """
        with self._database.reading() as db:
            key = rows.find_key(db, paper_id)
            paper = None if key is None else rows.read_paper(db, key)
        if paper is None:
            raise KeyError(paper_id)
        return paper

    def papers(self, where: Where | None = None, limit: int | None = None) -> list[Paper]:
        """Return the papers that pass the filter, in the order they were added; at most ``limit`` of them."""
        with self._database.reading() as db:
            return list(islice(rows.iter_papers(db, *(where or Where()).to_sql()), limit))

    def candidates(self, vector: Vectors, terms: Sequence[str], limit: int, where: Where | None = None) -> Candidates:
        """Search by meaning and by keyword, and load what was found, all from one generation.

        Args:
            vector: Unit vector of the question, float32, shape (dimension,).
            terms: Terms of the question, from :func:`index.terms.question_terms`.
            limit: Papers per search, at least 1.
            where: Filter; it is applied inside both searches.
        """
        with self._searching() as (derived, db):
            total = self._count_papers(db)
            limit = max(1, min(limit, total))
            keys, mask = self._allowed(db, where)
            by_meaning = derived.vectors.nearest_papers(vector, limit, mask)
            by_keyword = derived.keywords.search(terms, limit, keys)
            frequencies = derived.keywords.document_frequencies(terms)
            found = dict.fromkeys([*by_meaning, *by_keyword])
            # Another process's keyword index can be a moment older than this snapshot: what is gone is left out.
            stored = rows.load_papers(db, found, self.encoder.dimension)
        return Candidates(
            papers=stored,
            by_meaning=tuple(key for key in by_meaning if key in stored),
            by_keyword=tuple(key for key in by_keyword if key in stored),
            document_frequency=frequencies,
            total=total,
        )

    def respelled(self, terms: Sequence[str]) -> dict[str, str]:
        """Return for terms that no paper holds the term, one slip away, that the most papers hold, where there is one.

        Args:
            terms: From :func:`index.terms.question_terms`. Short ones and those with digits are left as they are: one
                slip away from those is another name.
        """
        found: dict[str, str] = {}
        with self._searching() as (derived, db):
            for term in terms:
                if len(term) < SHORTEST_SLIP or not term.isalpha():
                    continue
                keys = derived.keywords.search_near(term, SLIPS_LOOKED_AT)
                papers = rows.load_papers(db, keys, self.encoder.dimension).values()
                near = {t for paper in papers for t in paper.terms if one_slip_apart(t, term)}
                held = derived.keywords.document_frequencies(near)
                if near:
                    found[term] = min(near, key=lambda t: (-held[t], t))
        return found

    def document_frequency(self, terms: Sequence[str]) -> tuple[dict[str, int], int]:
        """Return in how many papers each term is, and the number of papers."""
        with self._searching() as (derived, db):
            return derived.keywords.document_frequencies(terms), self._count_papers(db)

    def tuning(self) -> dict[str, bool | float]:
        """Return the settings that belong to this collection, by name; {} if there are none.

        Raises:
            IndexCorruptError: If what is stored cannot be read.
        """
        with self._database.reading() as db:
            return database.tuning_of(self.folder, read_meta(db))

    def check(self, *, repair: bool = False, tell: Progress | None = None) -> list[Check]:
        """Examine everything that is stored; see ``citewell doctor``.

        Search files that were lost or damaged have been mended when the index was opened; the detail says so.

        Args:
            repair: Make anew what is derived and found wrong, and a graph that is missing. Papers are never changed.
            tell: Told while it takes long.
        """
        checks = doctor.examine(self._database, self._derived, self.encoder.dimension)
        if repair and (wrong := [check.name for check in checks if check.derived and not check.ok]):
            try:
                with self._writing(tell):
                    self._derived.reset(wrong)
            except IndexLockedError:
                return checks  # whoever is writing will save them
            checks = doctor.examine(self._database, self._derived, self.encoder.dimension)
        return checks

    # -- writing ------------------------------------------------------------------------------------------

    def add(
        self, records: Iterable[Paper | Rejected], source: str = "papers", progress: Progress | None = None
    ) -> IngestReport:
        """Add the papers of one source; see :meth:`add_records`.

        Args:
            records: Papers, and rejected records, which are passed on to the report.
            source: The file they come from, or a word for what is none.
            progress: Told after each batch.
        """
        total = len(records) if isinstance(records, Sequence) else None
        return self.add_records(((source, record) for record in records), source, progress, total)

    def add_records(
        self,
        records: Iterable[tuple[str, Paper | Rejected]],
        name: str,
        progress: Progress | None = None,
        total: int | Callable[[], float] | None = None,
    ) -> IngestReport:
        """Add papers, or update those that are known. What was there and has not changed costs nothing.

        A record of a known paper is combined with what other sources say of it (:mod:`index.identity`), and takes the
        place of what its own source said of it before. The work is committed in batches: what is written stays
        written if the call is interrupted, and calling it again with the same records continues where it stopped.

        Args:
            records: Each with its source: the file it comes from, or a word for what is none.
            name: What all the sources together are called, in messages.
            progress: Told after each batch.
            total: How many records there are, or a function that tells which share of them has been read, if one of
                these is known.

        Raises:
            IndexLockedError: If another process is writing.
            IndexStoreError: If the disk is full or the folder cannot be written; earlier batches stay.
        """
        with self._writing(progress):
            with self._database.connection() as db:
                database.set_unfinished(db, name)
            self._unfinished.add(name)
            keep_keywords = self._derived.save_keywords_now_and_then
            ingest = Ingest(self._database, self.encoder, self.passages, total, progress, keep_keywords)
            try:
                for source, record in records:
                    ingest.take(source, record)
                ingest.finish()
            except BaseException:
                ingest.stop()
                raise
            with self._database.connection() as db:
                database.set_finished(db, name)
            self._unfinished.discard(name)
        return ingest.report()

    def delete(self, ids: Iterable[str]) -> int:
        """Delete papers by id, or another identifier, and return how many there were. Unknown ids are passed over.

        Raises:
            IndexLockedError: If another process is writing.
        """
        with self._writing(None), self._database.writing() as db:
            keys = {key for paper_id in ids if (key := rows.find_key(db, paper_id)) is not None}
            rows.delete_papers(db, sorted(keys))
        return len(keys)

    def tune(self, values: Mapping[str, bool | float | None]) -> None:
        """Keep settings with this collection; reindexing leaves them as they are. They are not checked here.

        Args:
            values: By name; None removes one. Those that are not named stay.

        Raises:
            IndexLockedError: If another process is writing.
            IndexCorruptError: If what is stored cannot be read.
        """
        with self._write_lock, writer_lock(self.folder), self._database.writing(visible=False) as db:
            kept = {**database.tuning_of(self.folder, read_meta(db)), **values}
            database.set_tuning(db, {name: value for name, value in kept.items() if value is not None})

    def reindex(self, encoder: Encoder, passage_tokens: int | None = None, progress: Progress | None = None) -> None:
        """Embed every paper with another model or other passage settings, and change to it at the end.

        Until then the index answers as before. What was embedded is kept if the call is interrupted, and calling it
        again with the same model and settings continues.

        Args:
            encoder: The embedding model to change to.
            passage_tokens: Tokens of title and passage together, at most; None for the encoder's own limit.
            progress: Told after each batch.

        Raises:
            IndexLockedError: If another process is writing.
            IndexStoreError: If the disk is full or the folder cannot be written; the index is as it was.
        """
        settings = _passage_settings(encoder, passage_tokens)
        with self._write_lock, writer_lock(self.folder):
            with self._database.reading() as db:
                _check_version(self.folder, read_meta(db))
            made_with = manifest(encoder, settings)
            embed_anew(self._database, encoder, settings, made_with, progress)
            with self._derived.lock:
                change_over(self._database, made_with)
                self.encoder, self.passages = encoder, settings
                self._derived = Derived(self._database, encoder, self._check_model)
                self._filters.clear()
            self._derived.save(progress, graph=True)

    # -- inside -------------------------------------------------------------------------------------------

    @contextmanager
    def _searching(self) -> Iterator[tuple[Derived, sqlite3.Connection]]:
        """The search files, up to date, and a read transaction of what they reflect."""
        while True:
            derived = self._derived
            with derived.lock:
                if derived is self._derived:  # else another thread has reindexed while this one waited
                    with derived.current() as db:
                        yield derived, db
                    return

    @contextmanager
    def _writing(self, tell: Progress | None) -> Iterator[None]:
        """Hold the write lock, and save the derived indexes at the end, also when it is an early one."""
        with self._write_lock, writer_lock(self.folder):
            with self._database.reading() as db:
                self._check_model(db)
            try:
                yield
            except BaseException:
                with suppress(IndexStoreError):  # what stopped the writing is what is worth telling
                    self._derived.save()
                raise
            self._derived.save(tell, graph=True)

    def _count_papers(self, db: sqlite3.Connection) -> int:
        generation = read_generation(db)
        known, count = self._count
        if known != generation:
            count = rows.count_papers(db)
            self._count = (generation, count)
        return count

    def _allowed(self, db: sqlite3.Connection, where: Where | None) -> tuple[Keys | None, Mask | None]:
        """Return the keys of the papers that pass the filter, and the same as a mask over all keys; None for all."""
        if where is None or where == Where():
            return None, None
        wanted = (read_generation(db), where)
        if (known := self._filters.get(wanted)) is not None:
            return known
        keys = rows.find_paper_keys(db, *where.to_sql())
        mask = np.zeros(int(keys[-1]) + 1 if len(keys) else 1, dtype=np.bool_)
        mask[keys] = True
        if len(self._filters) >= _FILTERS_KEPT or any(known != wanted[0] for known, _ in self._filters):
            self._filters.clear()  # most likely of an earlier generation
        self._filters[wanted] = keys, mask
        return keys, mask

    def _check_model(self, db: sqlite3.Connection) -> None:
        """Refuse to go on with an index that another process has reindexed meanwhile."""
        meta = read_meta(db)
        if meta.get("vectors_since") != self._vectors_since:
            self.passages = _checked_manifest(self.folder, meta, self.encoder, None)
            self._vectors_since = meta["vectors_since"]


def _passage_settings(encoder: Encoder, passage_tokens: int | None) -> PassageSettings:
    if passage_tokens is not None and passage_tokens > encoder.max_tokens:
        raise ConfigError(
            f"index.passage_tokens is {passage_tokens}; {encoder.identity['model_name']} reads at most "
            f"{encoder.max_tokens} tokens at once. Set it to that or less, or leave it out."
        )
    return PassageSettings(passage_tokens or encoder.max_tokens)


def manifest(encoder: Encoder, passages: PassageSettings) -> dict[str, str]:
    """Return what shaped the stored vectors and terms, as an index keeps it."""
    return {
        "encoder": json.dumps(encoder.identity),
        "passages": json.dumps(passages.to_dict()),
        "terms": analysis(),
    }


def _checked_manifest(
    folder: Path, meta: dict[str, str], encoder: Encoder, passage_tokens: int | None
) -> PassageSettings:
    """Return the passage settings of an index, after checking that this version and the settings fit it."""
    _check_version(folder, meta)
    try:
        built = json.loads(meta["encoder"])
        passages = PassageSettings(**json.loads(meta["passages"]))
        int(meta["generation"]), int(meta["logged_since"]), int(meta["vectors_since"])
    except (KeyError, ValueError, TypeError) as exc:
        raise database.not_ours(folder, f"its manifest lacks a usable entry: {exc}") from exc
    database.tuning_of(folder, meta)  # raises if it cannot be used
    asked = encoder.identity
    if built != asked:
        differing = [name for name in asked if built.get(name) != asked[name]]
        shown = ", ".join(f"{name} {built.get(name)!r} against {asked[name]!r}" for name in differing)
        raise IndexMismatchError(
            f"{folder} was built with {built.get('model_name')}, the settings ask for "
            f"{asked['model_name']} ({shown}). Set index.embed_model to the model it was built with, or change it to "
            f"this one: citewell reindex {folder}"
        )
    if passage_tokens is not None and passages.max_tokens != passage_tokens:
        raise IndexMismatchError(
            f"{folder} was built with passages of at most {passages.max_tokens} tokens, the settings ask for "
            f"{passage_tokens} (index.passage_tokens). Leave the setting out, or change the index: "
            f"citewell reindex {folder}"
        )
    return passages


def _check_version(folder: Path, meta: dict[str, str]) -> None:
    try:
        version = int(meta["format_version"])
    except (KeyError, ValueError) as exc:
        raise database.not_ours(folder, f"its manifest lacks a usable entry: {exc}") from exc
    if version != FORMAT_VERSION:
        age = "a newer" if version > FORMAT_VERSION else "an older"
        raise IndexMismatchError(
            f"{folder} has index format {version}, written by {age} Citewell; this one reads "
            f"{FORMAT_VERSION}. Use the version that wrote it, or add the papers to a new index: "
            "citewell add FILE --index NEW.idx"
        )
