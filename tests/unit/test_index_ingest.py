"""Ingest: batches, counts and progress, over a real store."""

from pathlib import Path

import pytest
from fakes import HashEncoder

from index.ingest import PAPERS_PER_BATCH, IngestReport
from index.paper import Paper
from index.readers import Rejected
from index.store import PaperStore


@pytest.fixture
def store(tmp_path: Path):
    return PaperStore.open(tmp_path / "papers.idx", HashEncoder(), create=True)


def papers(count, abstract="An abstract."):
    return [Paper(f"id{n}", f"Title {n}", abstract) for n in range(count)]


def test_every_record_is_counted_once(store):
    store.add(papers(3))
    rejected = Rejected("f:1", "title", "is empty")
    report = store.add(
        [
            papers(1)[0],  # unchanged
            Paper("id1", "Title 1", "Another abstract."),
            Paper("id2", "Title 2", "An abstract.", year=2020),
            Paper("new", "T", "A."),
            Paper("new", "T", "A different one."),
            rejected,
        ]
    )
    assert report == IngestReport(added=1, updated=2, unchanged=1, duplicates=1, rejected=(rejected,))
    assert store.paper("new").abstract == "A."


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_papers_are_embedded_in_batches(store, extra):
    count = 2 * PAPERS_PER_BATCH + extra
    store.add(papers(count))
    assert store.encoder.passage_calls == (count + PAPERS_PER_BATCH - 1) // PAPERS_PER_BATCH
    assert len(store) == count


def test_progress_is_told_after_each_batch_and_at_the_end(store):
    told = []
    store.add(papers(PAPERS_PER_BATCH + 2), progress=lambda *what: told.append(what))
    total = PAPERS_PER_BATCH + 2
    assert [what[:2] for what in told] == [(PAPERS_PER_BATCH, total), (total, total)]
    assert told[-1][2] == f"{PAPERS_PER_BATCH + 2} records read, {PAPERS_PER_BATCH + 2} papers added, 0 updated"


def test_adding_nothing_reports_nothing(store):
    assert store.add([]) == IngestReport()
    assert store.interrupted is None


def test_records_are_taken_as_they_come_and_never_held_all_at_once(store):
    taken = []

    def records():
        for paper in papers(3 * PAPERS_PER_BATCH):
            taken.append((len(store), paper.id))
            yield paper

    store.add(records())
    assert taken[-1][0] == 2 * PAPERS_PER_BATCH


def test_the_first_of_two_records_with_one_id_counts_also_when_it_is_unchanged(store):
    store.add(papers(1))
    report = store.add([papers(1)[0], Paper("id0", "Title 0", "Another.")])
    assert (report.unchanged, report.duplicates) == (1, 1)
    assert store.paper("id0").abstract == "An abstract."
