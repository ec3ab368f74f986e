"""The store against a plain model of it: whatever is done to it and to its files, it answers as brute force does."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import DIMENSION, HashEncoder
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from llama_index.core.base.embeddings.base import BaseEmbedding

import index.vectors
from index.embedding.encoder import PassageText
from index.embedding.llama_index import LlamaIndexEncoder
from index.errors import (
    IndexCorruptError,
    IndexLockedError,
    IndexMismatchError,
    IndexNotFoundError,
    IndexStoreError,
)
from index.filters import Where
from index.ingest import PAPERS_PER_BATCH
from index.lock import writer_lock
from index.paper import Paper
from index.passages import split_passages
from index.readers import Rejected
from index.store import PaperStore
from index.terms import document_terms, question_terms

REPOSITORY = Path(__file__).resolve().parents[2]
WINDOW = 24  # tokens: small, so that an abstract of three sentences has several passages


def paper(number, text="It is about graphs.", **fields):
    return Paper(f"id{number}", f"Title {number}", f"Abstract word{number}. {text}", **fields)


def expected_passages(entry, window=WINDOW):
    """Return the float16 vectors that must be stored for a paper, as float32, shape (passages, DIMENSION)."""
    encoder = HashEncoder(window)
    texts = [
        PassageText(
            entry.title,
            entry.abstract[p.start : p.end],
            tuple((start - p.start, end - p.start) for start, end in p.sentences),
        )
        for p in split_passages(entry.title, entry.abstract, window, encoder.count_tokens)
    ]
    return np.stack([v.passage for v in encoder.embed_passages(texts)]).astype(np.float16).astype(np.float32)


def assert_search_is_exact(store, papers, question, limit, where=None, window=WINDOW):
    """Compare one search with brute force over ``papers``, the papers that pass ``where``."""
    vector = HashEncoder(window).embed_queries([question])[0]
    terms = question_terms(question)
    found = store.candidates(vector, terms, limit, where)

    passages = {entry.id: expected_passages(entry, window) for entry in papers}
    scores = {paper_id: float(np.max(vectors @ vector)) for paper_id, vectors in passages.items()}
    by_meaning = [found.papers[key].paper.id for key in found.by_meaning]
    best = sorted(scores.values(), reverse=True)[:limit]
    assert len(set(by_meaning)) == len(by_meaning) == len(best)
    np.testing.assert_allclose([scores[paper_id] for paper_id in by_meaning], best, atol=1e-6)

    matching = {p.id for p in papers if set(terms) & set(document_terms(f"{p.title}\n{p.abstract}"))}
    by_keyword = [found.papers[key].paper.id for key in found.by_keyword]
    assert len(set(by_keyword)) == len(by_keyword) == min(limit, len(matching))
    assert set(by_keyword) <= matching

    known = {entry.id: entry for entry in papers}
    for stored in found.papers.values():
        assert stored.paper == known[stored.paper.id]
        np.testing.assert_array_equal(stored.passage_vectors, passages[stored.paper.id])
        assert len(stored.sentences) == len(stored.sentence_vectors)
    return found


def statuses(store):
    return {check.name: check.ok for check in store.check()}


WORDS = ("graph", "attention", "over-squashing", "token", "retrieval", "galaxy", "Müller", "optimise")
sentences = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(lambda w: " ".join(w).capitalize() + ".")
papers = st.builds(
    Paper,
    id=st.sampled_from([f"id{n}" for n in range(12)]),
    title=st.sampled_from(["On graphs", "Tokens", "A survey"]),
    abstract=st.lists(sentences, min_size=1, max_size=4).map(" ".join),
    authors=st.lists(st.sampled_from(["Ada Çelik", "B. O'Neil", "王伟"]), max_size=2).map(tuple),
    year=st.sampled_from([None, 2019, 2020, 2024]),
    venue=st.sampled_from(["", "NeurIPS", "Nature Methods"]),
    tags=st.lists(st.sampled_from(["cs.LG", "cs"]), max_size=2).map(tuple),
    extra=st.sampled_from([{}, {"pages": (1, 2)}, {"note": None}]),
)
filters = st.one_of(
    st.none(),
    st.builds(Where, year_from=st.sampled_from([None, 2020]), year_to=st.sampled_from([None, 2020, 2023])),
    st.builds(
        Where,
        authors=st.sampled_from([(), ("çELIK",), ("o'neil", "王")]),
        venues=st.sampled_from([(), ("nature",), ("ips", "meth")]),
        tags=st.sampled_from([(), ("CS",), ("cs.lg",)]),
        ids=st.sampled_from([(), ("id1",), ("id2", "id3", "absent")]),
    ),
)


def passes(entry, where):
    """Say what a filter means, in Python."""
    if where is None:
        return True
    within = entry.year is not None and (where.year_from or 0) <= entry.year <= (where.year_to or 9999)
    return (
        (within or (where.year_from is None and where.year_to is None))
        and (not where.venues or any(v.casefold() in entry.venue.casefold() for v in where.venues))
        and (not where.authors or any(a.casefold() in n.casefold() for a in where.authors for n in entry.authors))
        and (not where.tags or any(t.casefold() == tag.casefold() for t in where.tags for tag in entry.tags))
        and (not where.ids or entry.id in where.ids)
    )


def drop_vectors(folder):
    (folder / "vectors.faiss").unlink(missing_ok=True)


def flip_a_byte_of_vectors(folder):
    data = bytearray((folder / "vectors.faiss").read_bytes())
    data[len(data) * 2 // 3] ^= 0x40
    (folder / "vectors.faiss").write_bytes(data)


def truncate_vectors(folder):
    data = (folder / "vectors.faiss").read_bytes()
    (folder / "vectors.faiss").write_bytes(data[: len(data) // 2])


def drop_vector_stamp(folder):
    (folder / "vectors.json").unlink()


def age_vector_stamp(folder):
    facts = json.loads((folder / "vectors.json").read_text())
    (folder / "vectors.json").write_text(json.dumps({**facts, "generation": facts["generation"] - 1}))


def garble_vector_stamp(folder):
    (folder / "vectors.json").write_text("[]")


def drop_keywords(folder):
    shutil.rmtree(folder / "keywords")


def drop_keyword_stamp(folder):
    (folder / "keywords" / "generation").unlink()


def garble_keyword_stamp(folder):
    (folder / "keywords" / "generation").write_text("1 0")


def keep_only_the_keyword_stamp(folder):
    for path in (folder / "keywords").iterdir():
        if path.name != "generation":
            path.unlink()


def drop_a_keyword_segment(folder):
    for path in (folder / "keywords").glob("*.pos"):
        path.unlink()


def flip_a_byte_of_the_terms(folder):
    for path in (folder / "keywords").glob("*.term"):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)


DAMAGES = [
    drop_vectors,
    flip_a_byte_of_vectors,
    truncate_vectors,
    drop_vector_stamp,
    age_vector_stamp,
    garble_vector_stamp,
    drop_keywords,
    drop_keyword_stamp,
    garble_keyword_stamp,
    keep_only_the_keyword_stamp,
    drop_a_keyword_segment,
    flip_a_byte_of_the_terms,
]


class StoreAgainstModel(RuleBasedStateMachine):
    """A dict of papers and numpy, against the real thing."""

    @initialize()
    def make(self):
        self.folder = Path(tempfile.mkdtemp()) / "papers.idx"
        self.model = {}
        self.highest_key = 0
        self.keys = set()
        self.open()

    def open(self):
        self.encoder = HashEncoder(WINDOW)
        self.store = PaperStore.open(self.folder, self.encoder, create=True)
        assert self.encoder.embedded_passages == 0

    @rule(batch=st.lists(papers, min_size=1, max_size=6))
    def add(self, batch):
        before = self.encoder.embedded_passages
        added = updated = unchanged = embedded = 0
        seen = {}
        for entry in batch:
            if entry.id in seen:
                continue
            stored = replace(entry, extra=json.loads(json.dumps(entry.extra)))
            seen[entry.id] = stored
            known = self.model.get(entry.id)
            if known == stored:
                unchanged += 1
                continue
            if known is None:
                added += 1
            else:
                updated += 1
            if known is None or (known.title, known.abstract) != (stored.title, stored.abstract):
                embedded += len(expected_passages(stored))
        report = self.store.add(batch)
        self.model.update(seen)
        assert (report.added, report.updated, report.unchanged) == (added, updated, unchanged)
        assert report.duplicates == len(batch) - len(seen)
        assert self.encoder.embedded_passages - before == embedded

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def change_metadata(self, data):
        entry = self.model[data.draw(st.sampled_from(sorted(self.model)))]
        before = self.encoder.embedded_passages
        changed = replace(entry, year=(entry.year or 2000) + 1)
        report = self.store.add([changed])
        self.model[entry.id] = changed
        assert report.updated == 1
        assert self.encoder.embedded_passages == before

    @rule(ids=st.lists(st.sampled_from([f"id{n}" for n in range(14)]), max_size=4))
    def delete(self, ids):
        gone = set(ids) & set(self.model)
        assert self.store.delete(ids) == len(gone)
        for paper_id in gone:
            del self.model[paper_id]
            with pytest.raises(KeyError):
                self.store.paper(paper_id)

    @rule()
    def reopen(self):
        self.open()

    @rule(damage=st.sampled_from(DAMAGES))
    def damage_and_reopen(self, damage):
        with suppress(FileNotFoundError):  # damaged before, and nothing has been written since
            damage(self.folder)
        self.open()

    @rule(damage=st.sampled_from([drop_vectors, drop_vector_stamp, drop_keywords, drop_a_keyword_segment]))
    def damage_under_the_open_store(self, damage):
        with suppress(FileNotFoundError):
            damage(self.folder)

    @rule(question=sentences, limit=st.sampled_from([1, 3, 50]), where=filters)
    def search(self, question, limit, where):
        allowed = [entry for entry in self.model.values() if passes(entry, where)]
        assert self.store.papers(where) == allowed
        found = assert_search_is_exact(self.store, allowed, question, limit, where)
        assert found.total == len(self.model)
        everything = [set(document_terms(f"{p.title}\n{p.abstract}")) for p in self.model.values()]
        assert found.document_frequency == {
            term: sum(term in terms for terms in everything) for term in question_terms(question)
        }

    @invariant()
    def equals_the_model(self):
        assert len(self.store) == len(self.model)
        assert self.store.papers() == list(self.model.values())
        for entry in self.model.values():
            assert self.store.paper(entry.id) == entry
        assert all(statuses(self.store).values()), self.store.check()

    @invariant()
    def passage_keys_are_never_used_again(self):
        with sqlite3.connect(self.folder / "papers.sqlite") as db:
            keys = {row[0] for row in db.execute("SELECT key FROM passages")}
        db.close()
        new = keys - self.keys
        assert not new or min(new) > self.highest_key
        self.keys = keys
        self.highest_key = max(self.highest_key, max(keys, default=0))

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder.parent)


TestStoreAgainstModel = StoreAgainstModel.TestCase
TestStoreAgainstModel.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "papers.idx"


@pytest.fixture
def store(folder):
    return PaperStore.open(folder, HashEncoder(WINDOW), create=True)


def test_a_filter_that_one_paper_in_many_passes_still_finds_k(store):
    many = [paper(n, f"Common words {n % 7}.", year=2024 if n % 60 == 5 else 2000) for n in range(300)]
    store.add(many)
    rare = [entry for entry in many if entry.year == 2024]
    found = assert_search_is_exact(store, rare, "common words about titles", 5, Where(year_from=2024))
    assert len(found.by_meaning) == len(found.by_keyword) == 5


def test_one_paper_of_many_passages_does_not_crowd_out_the_others(store):
    long = Paper("long", "Graphs", " ".join(f"Graph attention graph number {n}." for n in range(60)))
    others = [paper(n) for n in range(4)]
    store.add([long, *others])
    found = assert_search_is_exact(store, [long, *others], "graph attention graph", 3)
    assert len(found.by_meaning) == 3


def test_a_filter_of_thousands_of_ids_is_applied(store):
    store.add([paper(n) for n in range(20)])
    wanted = Where(ids=("id3", "id5", *(f"absent{n}" for n in range(5000))))
    assert [entry.id for entry in store.papers(wanted)] == ["id3", "id5"]


@pytest.mark.parametrize("hostile", ["' OR 1=1 --", '"; DROP TABLE papers; --', "%", "_", "*", "\\", "x' UNION SELECT"])
def test_sql_in_a_filter_is_data(store, hostile):
    store.add([paper(1, authors=("Ada",), venue="V", tags=("t",)), paper(2, authors=(f"a {hostile} b",))])
    for where in (Where(venues=(hostile,)), Where(tags=(hostile,)), Where(ids=(hostile,))):
        assert store.papers(where) == []
    assert [entry.id for entry in store.papers(Where(authors=(hostile,)))] == ["id2"]
    assert len(store) == 2


def test_the_neighbour_of_a_deleted_paper_is_found_by_its_own_vector(store):
    """Numbering vectors by how many there are gives, after a deletion, the vector of one paper to another."""
    store.add([paper(n) for n in range(1, 5)])
    store.delete(["id1"])
    store.add([paper(5)])
    for number in (2, 3, 4, 5):
        vector = expected_passages(paper(number))[0]
        found = store.candidates(vector, [], 10)
        assert found.papers[found.by_meaning[0]].paper.id == f"id{number}"
        assert len(found.by_meaning) == 4


def test_adding_a_known_paper_does_not_duplicate_it(store):
    for _ in range(3):
        store.add([paper(1), paper(2)])
    assert len(store) == 2
    assert [check.detail for check in store.check() if check.name == "vectors"] == [
        "2 vectors in FAISS, 2 in SQLite, equal"
    ]


def test_a_paper_of_several_passages_is_deleted_whole(store):
    store.add([Paper("long", "T", " ".join(f"Sentence number {n} is about whales." for n in range(20))), paper(1)])
    store.delete(["long"])
    assert_search_is_exact(store, [paper(1)], "sentence about whales", 10)


def test_an_unchanged_paper_costs_no_embedding(store):
    store.add([paper(n) for n in range(3)])
    calls = store.encoder.passage_calls
    assert store.add([paper(n) for n in range(3)]).unchanged == 3
    assert store.encoder.passage_calls == calls


def test_changed_metadata_costs_no_embedding(store):
    store.add([paper(1), paper(2)])
    calls = store.encoder.passage_calls
    assert store.add([paper(1, year=2021, authors=("A",))]).updated == 1
    assert store.encoder.passage_calls == calls
    assert store.paper("id1").authors == ("A",)


def test_only_the_paper_whose_abstract_changed_is_embedded_again(store):
    store.add([paper(n) for n in range(5)])
    before = store.encoder.embedded_passages
    changed = paper(2, "Now it is about galaxies.")
    store.add([paper(0), paper(1), changed, paper(3), paper(4)])
    assert store.encoder.embedded_passages - before == len(expected_passages(changed))


@pytest.mark.parametrize("extra", [{"pages": (1, 2)}, {"b": 1, "a": [None, {"x": 1.5}]}, {"broken": "\ud800"}])
def test_extra_fields_are_equal_to_themselves_after_storage(store, extra):
    store.add([paper(1, extra=extra)])
    assert store.add([paper(1, extra=extra)]).unchanged == 1


@pytest.mark.parametrize(
    ("bad", "field", "why"),
    [
        (Paper("empty", "Title", " "), "abstract", "is empty"),
        (Paper("bad", "Broken \ud800 title", "Text."), "record", "surrogates"),
        (Paper("bad", "Title", "Text.", extra={"when": object()}), "record", "not JSON serializable"),
        (Paper("bad", "Title", "Text.", year=10**30), "record", "the year is 1000"),
    ],
)
def test_a_paper_that_cannot_be_stored_is_reported_and_the_others_are_added(store, bad, field, why):
    report = store.add([paper(1), bad, paper(2)])
    assert report.added == len(store) == 2
    assert report.rejected[0].where == bad.id
    assert report.rejected[0].field == field
    assert why in report.rejected[0].why
    assert all(statuses(store).values())


def test_rejected_records_reach_the_report(store):
    rejected = Rejected("a.jsonl:3", "title", "is empty")
    assert store.add([paper(1), rejected]).rejected == (rejected,)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_to_what_is_derived_is_mended(folder, store, damage):
    entries = [paper(n) for n in range(8)]
    store.add(entries)
    damage(folder)
    mended = PaperStore.open(folder, HashEncoder(WINDOW))
    assert all(statuses(mended).values())
    assert_search_is_exact(mended, entries, "title word3 about graphs", 8)
    assert mended.encoder.embedded_passages == 0


def test_search_files_of_another_index_are_not_taken_for_ours(folder, store, tmp_path):
    store.add([paper(n) for n in range(4)])
    other = PaperStore.open(tmp_path / "other.idx", HashEncoder(WINDOW), create=True)
    entries = [paper(n, "Whales and galaxies.") for n in range(10, 14)]
    other.add(entries)
    shutil.copy(tmp_path / "other.idx" / "papers.sqlite", folder / "papers.sqlite")
    opened = PaperStore.open(folder, HashEncoder(WINDOW))
    assert_search_is_exact(opened, entries, "galaxies word11", 2)
    assert all(statuses(opened).values())


def test_an_index_that_is_replaced_under_an_open_store_is_searched_as_it_is(folder, store, tmp_path):
    store.add([paper(n) for n in range(4)])
    for name in ("one.idx", "two.idx"):  # one of them counts its generations from below ours, most likely
        other = PaperStore.open(tmp_path / name, HashEncoder(WINDOW), create=True)
        entries = [paper(n, "Whales and galaxies.") for n in range(10, 14)]
        other.add(entries)
        shutil.rmtree(folder)
        (tmp_path / name).rename(folder)
        assert_search_is_exact(store, entries, "galaxies word11 word2", 4)
        assert all(statuses(store).values())


def test_an_add_that_fails_leaves_an_open_store_searchable_and_says_so(folder, store):
    def records():
        yield from (paper(n) for n in range(PAPERS_PER_BATCH + 3))
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        store.add(records(), source="refs.bib")
    kept = [paper(n) for n in range(PAPERS_PER_BATCH)]
    assert store.papers() == kept
    assert_search_is_exact(store, kept, "title word3", PAPERS_PER_BATCH)
    assert store.interrupted == "refs.bib"
    assert statuses(store) == {"database": True, "papers": True, "vectors": True, "keywords": True, "last add": False}
    assert PaperStore.open(folder, HashEncoder(WINDOW)).interrupted == "refs.bib"


def test_an_add_in_progress_is_not_called_interrupted(folder, store):
    reports = []

    def records():
        yield from (paper(n) for n in range(PAPERS_PER_BATCH))
        reader = PaperStore.open(folder, HashEncoder(WINDOW))
        reports.append((reader.interrupted, {check.name: check for check in reader.check()}, reader))
        yield paper(99)

    store.add(records(), source="refs.bib")
    (interrupted, checks, reader) = reports[0]
    assert interrupted is None
    assert checks["last add"].ok
    assert f"process {os.getpid()}" in checks["last add"].detail
    assert "is adding refs.bib now" in checks["last add"].detail
    everything = [*(paper(n) for n in range(PAPERS_PER_BATCH)), paper(99)]
    assert_search_is_exact(reader, everything, "title word99", 100)


def test_a_reader_of_another_process_follows_the_writer(folder, store):
    store.add([paper(1)])
    reader = PaperStore.open(folder, HashEncoder(WINDOW))
    store.add([paper(2), paper(3)])
    store.delete(["id1"])
    assert_search_is_exact(reader, [paper(2), paper(3)], "title word1 word2", 5)
    reader.add([paper(4)])
    assert_search_is_exact(store, [paper(2), paper(3), paper(4)], "title word4", 5)
    assert all(statuses(store).values())


def test_a_reader_keeps_its_keywords_while_another_process_saves_them(folder, store):
    entries = [paper(n) for n in range(4)]
    store.add(entries)
    reader = PaperStore.open(folder, HashEncoder(WINDOW))
    (folder / "keywords" / "generation").unlink()  # as a writer does first
    with sqlite3.connect(folder / "papers.sqlite") as db:
        db.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
    db.close()
    assert_search_is_exact(reader, entries, "title word2", 4)


def test_several_threads_search_while_one_adds(store):
    store.add([paper(n) for n in range(10)])
    vector = HashEncoder(WINDOW).embed_queries(["title about graphs"])[0]
    failures, searches, stop = [], [], threading.Event()

    def search():
        try:
            while not stop.is_set():
                found = store.candidates(vector, ["titl", "graph"], 20)
                assert len(found.by_meaning) == min(20, found.total)
                for key in (*found.by_meaning, *found.by_keyword):
                    stored = found.papers[key]
                    np.testing.assert_array_equal(stored.passage_vectors, expected_passages(stored.paper))
                searches.append(found.total)
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(10, 22, 2):
        store.add([paper(number), paper(number + 1), paper(0, f"Edition {number}.")])
        store.delete([f"id{number}"])
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert searches
    assert len(store) == 16
    assert all(statuses(store).values())


def test_writing_while_adding_in_the_same_thread_is_refused(store):
    def records():
        yield paper(1)
        with pytest.raises(IndexLockedError, match=f"process {os.getpid()}"):
            store.delete(["id1"])

    store.add(records())
    assert len(store) == 1


def test_a_second_thread_waits_until_the_first_has_written(store):
    begun, order = threading.Event(), []

    def slow():
        begun.set()
        for n in range(3):
            time.sleep(0.05)
            yield paper(n)
        order.append("first")

    first = threading.Thread(target=store.add, args=(slow(),))
    first.start()
    assert begun.wait(10)
    store.add([paper(5)])
    order.append("second")
    first.join()
    assert order == ["first", "second"]
    assert [entry.id for entry in store.papers()] == ["id0", "id1", "id2", "id5"]
    assert all(statuses(store).values())


@pytest.mark.parametrize("limit", [10**13, 10**20])
def test_a_limit_beyond_the_collection_finds_all_of_it(store, limit):
    entries = [paper(n) for n in range(5)]
    assert_search_is_exact(store, [], "title word3", limit)
    store.add(entries)
    assert_search_is_exact(store, entries, "title word3", limit)


def test_an_add_that_ends_does_not_hide_another_that_was_interrupted(folder, store):
    def records():
        yield paper(1)
        raise RuntimeError("the source broke")

    for source in ("b.bib", "a.bib"):
        with pytest.raises(RuntimeError):
            store.add(records(), source=source)
    store.add([paper(2)], source="c.bib")
    for opened in (store, PaperStore.open(folder, HashEncoder(WINDOW))):
        assert opened.interrupted == "a.bib, b.bib"
        assert {check.name: check.detail for check in opened.check()}["last add"] == (
            "adding a.bib, b.bib was interrupted; add it again to finish"
        )
    store.add([paper(1)], source="a.bib")
    assert store.interrupted == "b.bib"
    store.add([paper(1)], source="b.bib")
    assert store.interrupted is None
    assert all(statuses(PaperStore.open(folder, HashEncoder(WINDOW))).values())


def test_the_check_says_what_opening_has_mended(folder, store):
    store.add([paper(n) for n in range(3)])
    assert not [check for check in store.check() if "opened" in check.detail]
    drop_vectors(folder)
    details = {check.name: check.detail for check in PaperStore.open(folder, HashEncoder(WINDOW)).check()}
    assert details["vectors"].endswith("; rebuilt when opened")
    assert "opened" not in details["keywords"]
    drop_keywords(folder)
    checks = {check.name: check for check in PaperStore.open(folder, HashEncoder(WINDOW)).check()}
    assert checks["keywords"].ok
    assert checks["keywords"].detail.endswith("; rebuilt when opened")
    assert not [check for check in PaperStore.open(folder, HashEncoder(WINDOW)).check() if "opened" in check.detail]


# -- what cannot be opened ------------------------------------------------------------------------------------


def test_a_missing_index_names_the_command_that_makes_one(folder):
    with pytest.raises(IndexNotFoundError, match=r"no index at .*papers\.idx.*citewell add FILE --index"):
        PaperStore.open(folder, HashEncoder())
    assert not folder.exists()


@pytest.mark.parametrize("create", [True, False])
def test_a_file_is_not_an_index_folder(folder, create):
    folder.write_text("notes")
    with pytest.raises(IndexStoreError, match=r"papers\.idx is a file.*another path"):
        PaperStore.open(folder, HashEncoder(), create=create)
    assert folder.read_text() == "notes"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(IndexStoreError, match="Name another"):
        PaperStore.open(tmp_path / "file" / "papers.idx", HashEncoder(), create=True)


def test_an_index_that_vanishes_under_an_open_store_is_missed_by_name(folder, store):
    store.add([paper(1)])
    shutil.rmtree(folder)
    with pytest.raises(IndexNotFoundError, match=r"no index at .*papers\.idx"):
        len(store)
    with pytest.raises(IndexStoreError):
        store.add([paper(2)])


def test_another_encoder_is_refused_by_both_names(folder, store):
    class Other(HashEncoder):
        @property
        def identity(self):
            return {**super().identity, "model_name": "other-encoder"}

    with pytest.raises(IndexMismatchError, match=r"built with hash-encoder.*ask for other-encoder.*new index"):
        PaperStore.open(folder, Other(WINDOW))


def test_another_window_is_refused_with_both_values(folder, store):
    with pytest.raises(IndexMismatchError, match="max_tokens 24 against 99"):
        PaperStore.open(folder, HashEncoder(99))


@pytest.mark.parametrize(("version", "age"), [(0, "an older"), (2, "a newer")])
def test_another_format_is_refused_with_its_age(folder, store, version, age):
    with sqlite3.connect(folder / "papers.sqlite") as db:
        db.execute("UPDATE meta SET value = ? WHERE key = 'format_version'", (str(version),))
    db.close()
    with pytest.raises(IndexMismatchError, match=f"index format {version}, written by {age} Citewell"):
        PaperStore.open(folder, HashEncoder(WINDOW))


@pytest.mark.parametrize(
    "schema",
    [
        "CREATE TABLE notes (text TEXT)",
        "CREATE TABLE meta (name TEXT, content TEXT)",
        "CREATE TABLE meta (key TEXT, value TEXT)",
        "CREATE TABLE meta (key TEXT, value TEXT); INSERT INTO meta VALUES ('format_version', 'draft')",
        "CREATE TABLE meta (key TEXT, value TEXT); INSERT INTO meta VALUES ('format_version', '1'), ('encoder', '{')",
    ],
)
def test_a_database_of_another_program_is_refused_and_left_alone(folder, schema):
    folder.mkdir()
    with sqlite3.connect(folder / "papers.sqlite") as db:
        db.executescript(schema)
    db.close()
    before = (folder / "papers.sqlite").read_bytes()
    with pytest.raises(IndexCorruptError, match=r"not a Citewell index.*Name another folder"):
        PaperStore.open(folder, HashEncoder(), create=True)
    assert (folder / "papers.sqlite").read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to have a header " * 40, b"SQLite format 3"]
)
def test_a_file_that_is_no_database_is_corrupt(folder, content):
    folder.mkdir()
    (folder / "papers.sqlite").write_bytes(content)
    with pytest.raises(IndexCorruptError, match=r"is damaged .*backup"):
        PaperStore.open(folder, HashEncoder())


def test_a_flipped_byte_in_the_header_is_corrupt_with_a_next_step(folder, store):
    store.add([paper(1)])
    data = bytearray((folder / "papers.sqlite").read_bytes())
    data[3] ^= 0xFF
    (folder / "papers.sqlite").write_bytes(data)
    with pytest.raises(IndexCorruptError, match=r"damaged .*Restore papers\.sqlite from a backup"):
        PaperStore.open(folder, HashEncoder(WINDOW))


def test_any_flipped_byte_gives_an_error_of_ours_or_a_store_that_works(folder, store):
    store.add([paper(n, authors=("Ada",), extra={"a": 1}) for n in range(6)])
    sound = (folder / "papers.sqlite").read_bytes()
    generator = np.random.default_rng(7)
    places = [*range(100), *generator.integers(100, len(sound), 150).tolist()]
    refused = 0
    for place in places:
        data = bytearray(sound)
        data[place] ^= int(generator.integers(1, 256))
        for name in ("papers.sqlite-wal", "papers.sqlite-shm"):
            (folder / name).unlink(missing_ok=True)
        (folder / "papers.sqlite").write_bytes(data)
        try:
            opened = PaperStore.open(folder, HashEncoder(WINDOW))
            opened.candidates(HashEncoder().embed_queries(["title word3"])[0], ["titl"], 6)
            opened.papers()
            opened.check()
        except IndexStoreError:
            refused += 1
    assert refused > 20


def test_a_truncated_database_is_corrupt(folder, store):
    store.add([paper(n) for n in range(40)])
    data = (folder / "papers.sqlite").read_bytes()
    (folder / "papers.sqlite").write_bytes(data[: len(data) // 2])
    with pytest.raises(IndexCorruptError, match="damaged"):
        PaperStore.open(folder, HashEncoder(WINDOW)).papers()


# -- disks that are full or cannot be written -----------------------------------------------------------------


def test_a_disk_that_fills_up_while_adding_keeps_the_earlier_batches(folder, store, monkeypatch):
    from index import database

    real = database.connect

    def small(path, **options):
        connection = real(path, **options)
        enter = connection.__enter__

        class Limited:
            def __enter__(self):
                db = enter()
                db.execute("PRAGMA max_page_count = 60")
                return db

            def __exit__(self, *details):
                return connection.__exit__(*details)

        return Limited()

    entries = [paper(n, "Many words. " * 30) for n in range(8 * PAPERS_PER_BATCH)]
    with monkeypatch.context() as patch:
        patch.setattr(database, "connect", small)
        with pytest.raises(IndexStoreError, match=r"full.*stored before is unchanged.*free disk space"):
            store.add(entries, source="refs.bib")
    kept = len(store)
    assert 0 < kept < len(entries)
    assert kept % PAPERS_PER_BATCH == 0
    assert store.papers() == entries[:kept]
    assert_search_is_exact(store, entries[:kept], "title word3", 10)
    assert store.add(entries, source="refs.bib").unchanged == kept
    assert store.papers() == entries
    assert all(statuses(store).values())


def full(*_arguments, **_options):
    raise RuntimeError("Error: 'ret == (count)' failed: write error: No space left on device")


def test_a_disk_that_fills_up_while_saving_search_files_loses_nothing(folder, store, monkeypatch):
    entries = [paper(n) for n in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr(index.vectors.faiss, "write_index", full)
        with pytest.raises(IndexStoreError, match=r"search files .*could not be saved.*papers are stored"):
            store.add(entries)
    assert_search_is_exact(store, entries, "title word1", 3)
    reopened = PaperStore.open(folder, HashEncoder(WINDOW))
    assert reopened.papers() == entries
    assert_search_is_exact(reopened, entries, "title word1", 3)
    assert all(statuses(reopened).values())


def test_opening_with_a_full_disk_mends_in_memory(folder, store, monkeypatch):
    entries = [paper(n) for n in range(3)]
    store.add(entries)
    drop_vectors(folder)
    drop_keywords(folder)
    monkeypatch.setattr(index.vectors.faiss, "write_index", full)
    opened = PaperStore.open(folder, HashEncoder(WINDOW))
    assert_search_is_exact(opened, entries, "title word1", 3)
    assert all(statuses(opened).values())


READ_ONLY = """
import os, sys
sys.path[:0] = [{repository!r}, {tests!r}]
from pathlib import Path
from fakes import HashEncoder
from index.errors import IndexStoreError
from index.paper import Paper
from index.store import PaperStore
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
folder = Path({folder!r})
assert not os.access(folder, os.W_OK)
store = PaperStore.open(folder, HashEncoder({window}))
found = store.candidates(HashEncoder({window}).embed_queries(["title word2"])[0], ["word2"], 3)
print(found.papers[found.by_meaning[0]].paper.id, [found.papers[k].paper.id for k in found.by_keyword], len(store))
print(all(check.ok for check in store.check()))
try:
    store.add([Paper("new", "T", "Text.")])
except IndexStoreError as exc:
    print(exc)
"""


@pytest.mark.parametrize("damages", [(), (drop_vectors, drop_keywords)], ids=["sound", "without search files"])
def test_a_read_only_folder_can_be_searched_and_not_written(folder, store, damages, tmp_path):
    store.add([paper(n) for n in range(4)])
    for damage in damages:
        damage(folder)
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for parent in folder.parents[:4]:
        if parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o055)
    script = READ_ONLY.format(
        repository=str(REPOSITORY), tests=str(REPOSITORY / "tests"), folder=str(folder), window=WINDOW
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755)
    lines = result.stdout.splitlines()
    assert lines[:2] == ["id2 ['id2'] 4", "True"], result.stderr
    assert "cannot be written" in lines[2]


# -- a llama-index model --------------------------------------------------------------------------------------


class HashEmbedding(BaseEmbedding):
    """The hash encoder as llama-index would have it, with vectors that are not of unit length."""

    def _get_text_embedding(self, text):
        return (3.0 * HashEncoder()._embed(text)).tolist()

    def _get_query_embedding(self, query):
        return (0.5 * HashEncoder()._embed(query)).tolist()

    async def _aget_query_embedding(self, query):
        return self._get_query_embedding(query)


def test_a_llama_index_model_gives_unit_vectors_in_order():
    encoder = LlamaIndexEncoder(HashEmbedding(model_name="hash", embed_batch_size=2))
    texts = [PassageText(f"Title {n}", "One graph. Two graphs.", ((0, 10), (11, 22))) for n in range(5)]
    vectors = encoder.embed_passages(texts)
    for n, entry in enumerate(vectors):
        np.testing.assert_allclose(entry.passage, HashEncoder()._embed(f"Title {n} One graph. Two graphs."), atol=1e-6)
        np.testing.assert_allclose(entry.sentences[1], HashEncoder()._embed("Two graphs."), atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(entry.sentences, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(encoder.embed_queries(["a", "b c"]), axis=1), 1, atol=1e-6)
    assert encoder.embed_queries([]).shape == (0, DIMENSION)
    assert encoder.embed_passages([]) == []


def test_the_store_works_through_a_llama_index_model(folder):
    encoder = LlamaIndexEncoder(HashEmbedding(model_name="hash"))
    store = PaperStore.open(folder, encoder, create=True)
    entries = [paper(n) for n in range(5)]
    store.add(entries)
    reopened = PaperStore.open(folder, encoder)
    assert_search_is_exact(reopened, entries, "title word3", 3, window=256)
    with pytest.raises(IndexMismatchError, match=r"built with hash.*ask for other"):
        PaperStore.open(folder, LlamaIndexEncoder(HashEmbedding(model_name="other")))


def test_the_lock_is_free_after_an_add(folder, store):
    store.add([paper(1)])
    with writer_lock(folder):
        pass
