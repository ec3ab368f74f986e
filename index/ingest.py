"""Take records one by one, find out what is new, and write it in batches. Holds no lock and saves no search file."""

import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from .database import as_stored, find_paper, write_fields, write_text
from .embedding.encoder import Encoder, PassageText, Vectors
from .paper import Paper
from .passages import Passage, split_passages
from .readers import Rejected

PAPERS_PER_BATCH = 32  # what an interrupted call loses at most: about two seconds of work on two cores

Progress = Callable[[int, int | None, str], None]
"""Called with records read, records in all (None when unknown), and what is going on, for people."""

Transaction = Callable[[], AbstractContextManager[sqlite3.Connection]]


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What :meth:`index.store.PaperStore.add` did.

    Attributes:
        added: Papers that were new.
        updated: Papers that were known and whose fields changed.
        unchanged: Papers that were known and equal.
        duplicates: Records with the id of an earlier record of the same call; the first one counts.
        rejected: Records that could not be read, and why.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    rejected: tuple[Rejected, ...] = ()


class Ingest:
    """One call of ``add``.

    Args:
        encoder: Embeds what is new.
        read: Begins a read transaction.
        write: Begins a write transaction, which raises the generation.
        total: How many records there are; None when unknown.
        progress: Told after each batch.
    """

    def __init__(
        self, encoder: Encoder, read: Transaction, write: Transaction, total: int | None, progress: Progress | None
    ) -> None:
        self._encoder = encoder
        self._read = read
        self._write = write
        self._total = total
        self._progress = progress
        self._batch: list[tuple[int | None, Paper]] = []  # the key of the paper each one replaces
        self._seen: set[str] = set()
        self._records = self._added = self._updated = self._unchanged = self._duplicates = 0
        self._rejected: list[Rejected] = []
        self.touched: set[int] = set()

    def take(self, record: Paper | Rejected) -> None:
        """Take the next record; it is written with its batch."""
        self._records += 1
        if isinstance(record, Rejected):
            self._rejected.append(record)
        elif not isinstance(record, Paper):
            raise TypeError(f"record {self._records} is a {type(record).__name__}; make papers with Paper.create(...)")
        elif record.id in self._seen:
            self._duplicates += 1
        else:
            self._seen.add(record.id)
            self._examine(record)
        if len(self._batch) == PAPERS_PER_BATCH:
            self.flush()

    def flush(self) -> None:
        """Embed and write what has been collected, in one transaction."""
        if self._batch:
            self._write_batch()
            self._batch.clear()
        if self._progress:
            counts = f"{self._records} records read, {self._added} papers added, {self._updated} updated"
            self._progress(self._records, self._total, counts)

    def report(self) -> IngestReport:
        """Return what was done."""
        return IngestReport(self._added, self._updated, self._unchanged, self._duplicates, tuple(self._rejected))

    def _examine(self, paper: Paper) -> None:
        if not paper.abstract.strip():
            self._rejected.append(Rejected(paper.id, "abstract", "is empty"))
            return
        try:
            paper = as_stored(paper)
        except ValueError as exc:  # one record must not stop the rest
            self._rejected.append(Rejected(paper.id, "record", str(exc)))
            return
        self._compare(paper)

    def _compare(self, paper: Paper) -> None:
        with self._read() as db:
            key, known = find_paper(db, paper.id)
        if key is None or known is None:
            self._added += 1
            self._batch.append((None, paper))
        elif known == paper:
            self._unchanged += 1
        else:
            self._updated += 1
            if (known.title, known.abstract) == (paper.title, paper.abstract):
                with self._write() as db:  # no text changed: nothing to embed
                    write_fields(db, key, paper)
            else:
                self._batch.append((key, paper))

    def _write_batch(self) -> None:
        window, count = self._encoder.max_tokens, self._encoder.count_tokens
        passages_of = [split_passages(paper.title, paper.abstract, window, count) for _, paper in self._batch]
        texts = [
            _passage_text(paper, passage)
            for (_, paper), passages in zip(self._batch, passages_of, strict=True)
            for passage in passages
        ]
        embedded = iter(self._encoder.embed_passages(texts))
        with self._write() as db:
            for (key, paper), passages in zip(self._batch, passages_of, strict=True):
                sentences: dict[tuple[int, int], Vectors] = {}
                rows = []
                for passage in passages:
                    vectors = next(embedded)
                    rows.append((passage.start, passage.end, vectors.passage))
                    for span, vector in zip(passage.sentences, vectors.sentences, strict=True):
                        sentences.setdefault(span, vector)  # one shared by two passages keeps the first vector
                self.touched.add(write_text(db, key, paper, sentences, rows))


def _passage_text(paper: Paper, passage: Passage) -> PassageText:
    spans = tuple((start - passage.start, end - passage.start) for start, end in passage.sentences)
    return PassageText(paper.title, paper.abstract[passage.start : passage.end], spans)
