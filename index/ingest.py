"""Take records one by one, find out what is new, and write it in batches. Holds no lock and saves no search file.

Records are read and recognised in the caller's thread, embedded in a second and written in a third. A record of a
paper that is still on its way there is set aside until it has arrived.
"""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count

from . import rows
from .computing import PassageSettings, compute, cut
from .database import Database
from .embedding.encoder import Encoder
from .identity import combine, conflict, is_title_name, recognised_by
from .paper import Paper
from .passages import Passage
from .progress import Progress
from .readers import Rejected
from .rows import Computed, Record
from .stages import Stages

_CHANGES_PER_BATCH = 1_000  # where nothing is embedded
_MAX_SET_ASIDE = 500
_RECORDS_PER_REPORT = 500


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What :meth:`index.store.PaperStore.add` did. Each record is counted once.

    Attributes:
        added: Papers that were new.
        updated: Papers that their source had listed before and now describes differently.
        unchanged: Papers that their source had listed before, with nothing new.
        duplicates: Further records, in one source, of a paper it had listed already; they are combined.
        merged: Records of a paper known from another source; what the sources say is combined.
        rejected: Records that could not be read, and why.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    merged: int = 0
    rejected: tuple[Rejected, ...] = ()


@dataclass(slots=True)
class _Change:
    """What is to be written for one paper.

    Attributes:
        paper: The paper as it will be stored.
        records: What all sources say of it, in order of arrival.
        key: The paper's key; None for a new one.
        absorbed: Keys of papers that turned out to be this one.
        source: Key of the source that brought the change.
        touched: The names of all these papers, before and after.
        digest: Of the text, if it is new; None if what was computed stays.
        passages: The text cut up, if it must be embedded.
        computed: What is known of the text from elsewhere, later what was computed.
    """

    paper: Paper
    records: list[Record]
    key: int | None
    absorbed: list[int]
    source: int
    touched: frozenset[str] = frozenset()
    digest: bytes | None = None
    passages: list[Passage] = field(default_factory=list)
    computed: Computed | None = None

    @property
    def names(self) -> set[str]:
        """Every name that one of the records can be recognised by."""
        papers = (self.paper, *(record.paper for record in self.records))
        return {name for paper in papers for name in recognised_by(paper)}


class Ingest:
    """One call of ``add``.

    Args:
        database: Where papers are written.
        encoder: Embeds what is new.
        settings: How abstracts are cut.
        total: How many records there are, or a function that tells which share has been read; None when unknown.
        progress: Told after each batch.
        committed: Called, in the thread that writes, after each commit.
    """

    def __init__(
        self,
        database: Database,
        encoder: Encoder,
        settings: PassageSettings,
        total: int | Callable[[], float] | None,
        progress: Progress | None,
        committed: Callable[[], None],
    ) -> None:
        self._database, self._encoder, self._settings = database, encoder, settings
        self._total, self._progress, self._committed = total, progress, committed
        self._stages = Stages(self._embed, self._write)
        self._batch: list[_Change] = []
        self._to_embed = 0
        # Names of the papers that are not written yet, each with all names of its paper.
        self._under_way: dict[str, frozenset[str]] = {}
        self._under_way_lock = threading.Lock()
        self._aside: list[tuple[str, Paper]] = []
        self._aside_names: set[str] = set()
        self._listed: dict[tuple[int, int], int] = {}  # a bit for each record of a paper that its source gave again
        self._sources: dict[str, int] = {}
        self._records = self._told = 0
        self._counts = dict.fromkeys(("added", "updated", "unchanged", "duplicates", "merged"), 0)
        self._rejected: list[Rejected] = []

    def take(self, source: str, record: Paper | Rejected) -> None:
        """Take the next record; it is written with its batch.

        Args:
            source: The file it is from, or a word for what is none.
            record: What was read.

        Raises:
            TypeError: If it is neither a paper nor a rejected record.
            CitewellError: What an earlier batch failed with.
        """
        self._records += 1
        if isinstance(record, Rejected):
            self._rejected.append(record)
        elif not isinstance(record, Paper):
            raise TypeError(f"record {self._records} is a {type(record).__name__}; make papers with Paper.create(...)")
        elif not record.abstract.strip():
            self._rejected.append(Rejected(record.id, "abstract", "is empty"))
        else:
            try:
                record = rows.as_stored(record)
            except ValueError as exc:  # one record must not stop the rest
                self._rejected.append(Rejected(record.id, "record", str(exc)))
            else:
                self._take_paper(source, record)
        if len(self._aside) >= _MAX_SET_ASIDE:
            self._take_up_aside()
        if self._records % _RECORDS_PER_REPORT == 0:
            self._tell()

    def finish(self) -> None:
        """Wait until everything that was taken is written.

        Raises:
            CitewellError: What a batch failed with.
        """
        self._take_up_aside()
        self._settle()
        self._stages.close()
        self._tell()

    def stop(self) -> None:
        """End early: what is being embedded is still written, the rest is dropped."""
        self._stages.close(discard=True)

    def report(self) -> IngestReport:
        """Return what was done."""
        return IngestReport(**self._counts, rejected=tuple(self._rejected))

    # -- in the caller's thread ---------------------------------------------------------------------------

    def _take_paper(self, source: str, paper: Paper) -> None:
        names = recognised_by(paper)
        with self._under_way_lock:
            waited_for = [self._under_way[name] for name in names if name in self._under_way]
        if waited_for or not self._aside_names.isdisjoint(names):
            self._aside.append((source, paper))
            self._aside_names.update(names, *waited_for)  # so that later records of the paper stay behind this one
            return
        change = self._recognise(self._source_key(source), paper, names)
        if change is None:
            return
        with self._under_way_lock:
            self._under_way.update(dict.fromkeys(change.touched, change.touched))
        self._batch.append(change)
        self._to_embed += bool(change.passages)
        if self._to_embed >= papers_per_batch(self._encoder) or len(self._batch) >= _CHANGES_PER_BATCH:
            self._submit()

    def _take_up_aside(self) -> None:
        while self._aside:
            self._settle()
            aside, self._aside = self._aside, []
            self._aside_names.clear()
            for source, paper in aside:
                self._take_paper(source, paper)

    def _submit(self) -> None:
        if self._batch:
            batch, self._batch, self._to_embed = self._batch, [], 0
            self._stages.submit(batch)
            self._tell()

    def _settle(self) -> None:
        self._submit()
        self._stages.drain()

    def _tell(self) -> None:
        if self._progress and self._told != self._records:
            self._told = self._records
            new, known = self._counts["added"], self._records - self._counts["added"] - len(self._rejected)
            total = self._total() if callable(self._total) else self._total
            if isinstance(total, float):  # a share, from which the number is estimated
                total = round(self._records / total) if total else None
            self._progress(self._records, total, f"{new:,} new papers, {known:,} known")

    def _source_key(self, source: str) -> int:
        if source not in self._sources:
            with self._database.connection() as db:
                self._sources[source] = rows.source_key(db, source)
        return self._sources[source]

    def _recognise(self, source: int, paper: Paper, names: Sequence[str]) -> _Change | None:
        """Find the papers that a record is about, and return what it changes; None if nothing."""
        with self._database.reading() as db:
            keys = _same_papers(db, paper, names, source)
            if not keys:
                self._counts["added"] += 1
                stored = combine(_free_id(db, paper), [paper])
                change = _Change(stored, [Record(source, 0, paper)], None, [], source)
            else:
                found = self._combined(db, source, paper, keys)
                if found is None:
                    return None
                change = found
            change.touched = frozenset(change.names.union(*(rows.names_of(db, key) for key in keys)))
            if change.key is not None and (before := rows.read_paper(db, change.key)) is not None:
                if (before.title, before.abstract) == (change.paper.title, change.paper.abstract):
                    return change
            change.digest = rows.text_digest(change.paper)
            change.computed = rows.find_computed(db, change.digest, self._encoder.dimension)
        if change.computed is None:
            change.passages = cut(change.paper, self._encoder, self._settings)
        return change

    def _combined(self, db: sqlite3.Connection, source: int, paper: Paper, keys: Sequence[int]) -> _Change | None:
        """Combine a record with what is known of its paper, and count it; None if it says nothing new."""
        key, *absorbed = keys
        stored, records = self._gathered(db, keys)
        listed = self._listed.get((key, source), 0)
        known_source = any(record.source == source for record in records)
        # What the source said before and has not said again in this call: the same, or else the first of it.
        ours = [at for at, record in enumerate(records) if record.source == source and not listed >> record.ordinal & 1]
        said = combine(stored.id, [paper])
        same = [at for at in ours if combine(stored.id, [records[at].paper]) == said]
        at = next(iter([*same, *ours]), None)
        ordinal = sum(record.source == source for record in records) if at is None else records[at].ordinal
        self._listed[key, source] = listed | 1 << ordinal
        if same and not absorbed:
            self._counts["duplicates" if listed else "unchanged"] += 1
            return None
        if at is None:
            records.append(Record(source, ordinal, paper))
        else:
            records[at] = Record(source, ordinal, paper)
        self._counts["duplicates" if listed else "updated" if known_source else "merged"] += 1
        combined = combine(stored.id, [record.paper for record in records])
        return _Change(combined, records, key, absorbed, source)

    def _gathered(self, db: sqlite3.Connection, keys: Sequence[int]) -> tuple[Paper, list[Record]]:
        """Return the first of some papers that are one, and what the sources say of all of them, numbered anew."""
        records: list[Record] = []
        counts: dict[int, int] = {}
        listed: dict[int, int] = {}
        papers = []
        for key in keys:
            stored = rows.read_paper(db, key)
            assert stored is not None, "its names hang on it"
            papers.append(stored)
            for record in rows.read_records(db, key, stored):
                ordinal = counts.get(record.source, 0)
                counts[record.source] = ordinal + 1
                again = self._listed.get((key, record.source), 0) >> record.ordinal & 1
                listed[record.source] = listed.get(record.source, 0) | again << ordinal
                records.append(record if record.ordinal == ordinal else replace(record, ordinal=ordinal))
        self._listed.update({(keys[0], source): ordinals for source, ordinals in listed.items()})
        return papers[0], records

    # -- in the threads of the stages ---------------------------------------------------------------------

    def _embed(self, batch: list[_Change]) -> list[_Change]:
        new = {change.digest: change for change in batch if change.passages}  # each text once
        if new:
            computed = compute([(change.paper, change.passages) for change in new.values()], self._encoder)
            made = dict(zip(new, computed, strict=True))
            for change in batch:
                change.computed = made.get(change.digest, change.computed)
        return batch

    def _write(self, batch: list[_Change]) -> None:
        with self._database.writing() as db:
            for change in batch:
                if change.key is None:
                    change.key = rows.insert_paper(db, change.paper, change.names)
                    self._listed[change.key, change.source] = 1
                else:
                    if change.digest is not None:
                        rows.keep_computed(db, change.key)
                    rows.delete_papers(db, change.absorbed)
                    rows.update_paper(db, change.key, change.paper, change.names)
                rows.write_records(db, change.key, change.paper, change.records)
                if change.digest is not None and change.computed is not None:
                    rows.write_computed(db, change.key, change.paper, change.computed)
            rows.trim_spare(db)
        with self._under_way_lock:
            for change in batch:
                for name in change.touched:
                    if self._under_way.get(name) is change.touched:  # a name may be that of two papers
                        del self._under_way[name]
        self._committed()


def papers_per_batch(encoder: Encoder) -> int:
    """Return how many papers are embedded and written at once.

    While one batch is written the next is embedded, and a process that dies may lose both: no more than the encoder's
    ``bulk_size`` together.
    """
    return max(1, encoder.bulk_size // 2)


def _same_papers(db: sqlite3.Connection, paper: Paper, names: Sequence[str], source: int) -> list[int]:
    """Return the keys of the stored papers that a record is about, the oldest first."""
    found = rows.find_names(db, names)
    if keys := sorted({key for name, key in found if not is_title_name(name)}):
        return keys
    alike = [key for key in sorted({key for _, key in found}) if not conflict(paper.names, rows.names_of(db, key))]
    # Where its source has put the same record before, so that adding a file again changes nothing; else the oldest.
    before = [key for key in alike if len(alike) > 1 and _has_record(db, key, source, paper)]
    return (before or alike)[:1]


def _has_record(db: sqlite3.Connection, key: int, source: int, paper: Paper) -> bool:
    """Whether a source has said just this of a stored paper."""
    stored = rows.read_paper(db, key)
    if stored is None:
        return False
    records = [record.paper for record in rows.read_records(db, key, stored) if record.source == source]
    return combine(stored.id, [paper]) in [combine(stored.id, [record]) for record in records]


def _free_id(db: sqlite3.Connection, paper: Paper) -> str:
    """Return an id for a new paper: its own, unless a different paper of the same title has it."""
    candidates = chain(paper.names, (f"{paper.id}#{number}" for number in count(2)))
    return next(name for name in candidates if rows.find_key(db, name) is None)
