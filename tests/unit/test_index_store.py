"""The store against a plain model of it: whatever is done to it and to its files, it answers as brute force does."""

import copy
import os
import shutil
import sqlite3
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import oracle
import pytest
from damage import DAMAGES, UNDER_AN_OPEN_STORE
from fakes import DIMENSION, HashEncoder
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from llama_index.core.base.embeddings.base import BaseEmbedding
from oracle import assert_search_is_exact, assert_sound, statuses

from index.embedding.encoder import PassageText
from index.embedding.llama_index import LlamaIndexEncoder
from index.errors import IndexLockedError, IndexMismatchError
from index.filters import Where
from index.lock import writer_lock
from index.paper import Paper
from index.readers import Rejected
from index.store import PaperStore

WINDOW = 24  # tokens: small, so that an abstract of three sentences has several passages
WINDOWS = (16, WINDOW, 40)
MODEL_WINDOW = 40
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a disk has to be waited for
SOURCES = ("a.bib", "lists/b.csv", "c.json")


class SmallBatches(HashEncoder):
    """Takes as many papers at once as it is told, and fails at a call that it is told."""

    def __init__(self, max_tokens, bulk_size=32, fails_at=None):
        super().__init__(max_tokens)
        self.bulk, self.fails_at = bulk_size, fails_at

    @property
    def bulk_size(self):
        return 2 * self.bulk  # two batches can be under way

    def embed_passages(self, passages):
        if self.passage_calls == self.fails_at:
            raise RuntimeError("the model broke")
        return super().embed_passages(passages)


def paper(number, text="It is about graphs.", **fields):
    return Paper(f"id{number}", f"Title {number}", f"Abstract word{number}. {text}", **fields)


WORDS = ("graph", "attention", "over-squashing", "token", "retrieval", "galaxy", "Müller", "optimise")
sentences = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(lambda w: " ".join(w).capitalize() + ".")
TITLES = ("On graphs", "Tokens: a survey", "Galaxies", "Attention", "Editorial", "Editorial")
SURNAMES = ("Çelik", "O'Neil", "王伟", "van der Berg", "Lee", "Lee")


@st.composite
def records(draw):
    """A record of one of six works: with some of its ids or none, its title in some spelling, and what else."""
    work = draw(st.integers(0, 5))
    ids = [f"doi:10.1000/w{work}", f"arxiv:2401.0000{work}", f"pmid:7{work}", f"own-{work}"]
    if TITLES[work] == "Editorial":  # two works of one name, told apart by their DOI
        names = ids[:1]
    else:
        names = draw(st.lists(st.sampled_from(ids), unique=True, max_size=3))
        if draw(st.integers(0, 9)) == 0:  # a record that says two works are one
            names.append(f"arxiv:2401.0000{draw(st.integers(0, 3))}")
    first = f"Ada {SURNAMES[work]}"
    return Paper.create(
        draw(st.sampled_from([str, str.upper, lambda title: title + "!"]))(TITLES[work]),
        " ".join(draw(st.lists(sentences, min_size=1, max_size=4))),
        id=names[0] if names else "",
        identifiers=tuple(names[1:]),
        authors=draw(st.sampled_from([(), (first,), (first, "B. O'Neil")])),
        year=draw(st.sampled_from([None, 2019, 2020, 2024])),
        venue=draw(st.sampled_from(["", "NeurIPS", "Nature Methods"])),
        tags=draw(st.lists(st.sampled_from(["cs.LG", "cs"]), max_size=2).map(tuple)),
        extra=draw(st.sampled_from([{}, {"pages": (1, 2)}, {"note": None, "pages": 3}])),
    )


given_records = st.tuples(st.sampled_from(SOURCES), records())
known_names = st.sampled_from([f"{kind}{n}" for n in range(6) for kind in ("doi:10.1000/w", "arxiv:2401.0000", "own-")])
filters = st.one_of(
    st.none(),
    st.builds(Where, year_from=st.sampled_from([None, 2020]), year_to=st.sampled_from([None, 2020, 2023])),
    st.builds(
        Where,
        authors=st.sampled_from([(), ("çELIK",), ("o'neil", "王"), ("der b",)]),
        venues=st.sampled_from([(), ("nature",), ("ips", "meth")]),
        tags=st.sampled_from([(), ("CS",), ("cs.lg",)]),
    ),
    st.builds(
        Where,
        ids=st.sampled_from([(), ("doi:10.1000/w1",), ("arxiv:2401.00002", "own-3", "absent")]),
        sources=st.sampled_from([(), ("B.csv",), ("lists/b.csv", "a.bib"), ("lists",)]),
    ),
)


class StoreAgainstModel(RuleBasedStateMachine):
    """A plain collection and numpy, against the real thing."""

    @initialize()
    def make(self):
        self.folder = Path(tempfile.mkdtemp(dir=IN_MEMORY)) / "papers.idx"
        self.model = oracle.Collection()
        self.window = WINDOW
        self.said = []  # the records of the last call
        self.keys, self.highest_key, self.epoch = set(), 0, None
        self.reindexing = False
        self.crashes = 0
        self.open(passage_tokens=WINDOW)
        self.reader = PaperStore.open(self.folder, HashEncoder(MODEL_WINDOW))

    def open(self, **options):
        self.encoder = SmallBatches(MODEL_WINDOW)
        self.store = PaperStore.open(self.folder, self.encoder, create=True, **options)
        assert self.encoder.embedded_passages == 0
        assert self.store.passages.max_tokens == self.window

    def generation(self):
        with self.store._database.reading() as db:
            return int(db.execute("SELECT value FROM meta WHERE key = 'generation'").fetchone()[0])

    @rule(batch=st.lists(given_records, min_size=1, max_size=8))
    def add(self, batch):
        before = self.encoder.embedded_passages
        report = self.store.add_records(batch, "papers")
        counts, texts = self.model.add(batch)
        names = ("added", "updated", "unchanged", "duplicates", "merged")
        assert {name: getattr(report, name) for name in names} == {name: counts[name] for name in names}
        assert not report.rejected
        wanted = [len(oracle.passage_vectors(*text, self.window)) for text in texts]
        embedded = self.encoder.embedded_passages - before
        # Two papers that come with the same text in one batch are both embedded.
        twice = sum(
            len(oracle.passage_vectors(known.paper.title, known.paper.abstract, self.window))
            for known in self.model.known
            if sum(k.paper.abstract == known.paper.abstract for k in self.model.known) > 1
        )
        assert sum(wanted) <= embedded <= sum(wanted) + twice
        self.said = batch

    @precondition(lambda self: self.said)
    @rule()
    def add_the_same_again(self):
        generation, before = self.generation(), self.encoder.embedded_passages
        report = self.store.add_records(self.said, "papers")
        counts, _ = self.model.add(self.said)
        assert (report.unchanged, report.duplicates) == (counts["unchanged"], counts["duplicates"])
        assert report.unchanged + report.duplicates == len(self.said)
        assert (self.generation(), self.encoder.embedded_passages) == (generation, before)

    @precondition(lambda self: self.said)
    @rule(data=st.data())
    def change_metadata(self, data):
        source, record = data.draw(st.sampled_from(self.said))
        before = self.encoder.embedded_passages
        batch = [(source, replace(record, year=(record.year or 2000) + 1))]
        report = self.store.add_records(batch, "papers")
        counts, texts = self.model.add(batch)
        assert (report.added, report.updated) == (counts["added"], counts["updated"])
        if not texts:
            assert self.encoder.embedded_passages == before
        self.said = batch

    @rule(names=st.lists(known_names, max_size=4))
    def delete(self, names):
        assert self.store.delete(names) == self.model.delete(names)
        for name in names:
            with pytest.raises(KeyError):
                self.store.paper(name)
        self.said = []

    @rule()
    def reopen(self):
        self.open()

    @rule(damage=st.sampled_from(DAMAGES))
    def damage_and_reopen(self, damage):
        with suppress(FileNotFoundError):  # damaged before, and nothing has been written since
            damage(self.folder)
        self.open()

    @rule(damage=st.sampled_from(UNDER_AN_OPEN_STORE))
    def damage_under_the_open_store(self, damage):
        # A store that has not looked since a reindexing has nothing else to go by than the files.
        self.reader.candidates(HashEncoder().embed_queries(["graph"])[0], ["graph"], 1)
        with suppress(FileNotFoundError):
            damage(self.folder)

    @rule(window=st.sampled_from(WINDOWS))
    def reindex(self, window):
        self.reindexed(window, SmallBatches(MODEL_WINDOW))

    @precondition(lambda self: self.model.known)
    @rule(window=st.sampled_from(WINDOWS), calls=st.integers(0, 2))
    def reindex_and_fail(self, window, calls):
        """What was embedded before the failure is kept, so that a few of them may come to the end."""
        with suppress(RuntimeError):
            self.reindexed(window, SmallBatches(MODEL_WINDOW, bulk_size=2, fails_at=calls))
            return
        assert window != self.window
        self.reindexing = True

    def reindexed(self, window, encoder):
        self.store.reindex(encoder, window)
        if window != self.window:
            self.model.reindexed()
        self.encoder, self.window, self.reindexing = encoder, window, False
        encoder.bulk, encoder.fails_at = 32, None

    @rule(texts=st.lists(sentences, min_size=3, max_size=6, unique=True), cut=st.integers(1, 6), saved=st.booleans())
    def crash_in_an_add(self, texts, cut, saved):
        """The batches that are written stay, whether or not there is time to save the search files."""
        self.crashes += 1
        name = f"crash{self.crashes}"
        batch = [(f"{name}.bib", Paper(f"{name}-{n}", f"{name} {n}", text)) for n, text in enumerate(texts)]

        def break_off():
            yield from batch[:cut]
            raise RuntimeError("the source broke")

        def no_time(*_arguments, **_options):
            raise KeyboardInterrupt

        self.store.encoder.bulk = 2
        if not saved:
            self.store._derived.save = no_time
        with pytest.raises((RuntimeError, KeyboardInterrupt)):
            self.store.add_records(break_off(), name)
        self.open()
        assert self.store.interrupted == name
        possible = []
        for kept in range(0, cut + 1, 2):
            model = copy.deepcopy(self.model)
            model.add(batch[:kept])
            possible.append(model.papers())
        assert self.store.papers() in possible
        checks = statuses(self.store)
        assert not checks.pop("last add")
        assert checks.pop("reindexing", True) != self.reindexing
        assert all(checks.values())
        self.store.add_records(batch, name)
        self.model.add(batch)

    @rule(question=sentences, limit=st.sampled_from([1, 3, 50]), where=filters, other=st.booleans())
    def search(self, question, limit, where, other):
        allowed = self.model.papers(where)
        store = self.reader if other else self.store
        assert store.papers(where) == allowed
        assert_search_is_exact(store, allowed, question, limit, where, self.window, self.model.papers())

    @invariant()
    def equals_the_model(self):
        papers = self.model.papers()
        assert len(self.store) == len(papers)
        assert self.store.papers() == papers
        for known in self.model.known:
            for name in (known.id, *known.paper.identifiers):
                assert self.store.paper(name) == known.paper
        checks = statuses(self.store)
        assert checks.pop("reindexing", True) != self.reindexing
        assert all(checks.values()), self.store.check()

    @invariant()
    def passage_keys_are_never_used_again(self):
        with sqlite3.connect(self.folder / "papers.sqlite") as db:
            keys = {row[0] for row in db.execute("SELECT key FROM passages")}
        db.close()
        epoch = self.generation() >> 32
        if epoch != self.epoch:  # every search file is made anew
            self.keys, self.highest_key, self.epoch = set(), 0, epoch
        new = keys - self.keys
        assert not new or min(new) > self.highest_key
        self.keys = keys
        self.highest_key = max(self.highest_key, max(keys, default=0))

    def teardown(self):
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder.parent)


TestStoreAgainstModel = StoreAgainstModel.TestCase
TestStoreAgainstModel.settings = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def folder(memory_path):
    return memory_path / "papers.idx"


@pytest.fixture
def store(folder):
    return PaperStore.open(folder, HashEncoder(WINDOW), create=True)


def reopened(folder):
    return PaperStore.open(folder, HashEncoder(WINDOW))


# -- searches -------------------------------------------------------------------------------------------------


def test_a_filter_that_one_paper_in_many_passes_still_finds_k(store):
    many = [paper(n, f"Common words {n % 7}.", year=2024 if n % 60 == 5 else 2000) for n in range(300)]
    store.add(many)
    rare = [entry for entry in many if entry.year == 2024]
    found = assert_search_is_exact(store, rare, "common words about titles", 5, Where(year_from=2024))
    assert len(found.by_meaning) == len(found.by_keyword) == 5


def test_a_filter_that_one_paper_in_ten_thousand_passes_finds_it(folder):
    store = PaperStore.open(folder, HashEncoder(), create=True)
    store.add([Paper(f"id{n}", f"T{n}", "Common words.", tags=("rare",) * (n == 7_777)) for n in range(10_000)])
    assert len(store) == 10_000
    (rare,) = store.papers(Where(tags=("RARE",)))
    found = assert_search_is_exact(store, [rare], "common words", 5, Where(tags=("RARE",)))
    assert [found.papers[key].paper.id for key in found.by_meaning] == ["id7777"]
    assert found.by_keyword == found.by_meaning


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
    for where in (Where(venues=(hostile,)), Where(tags=(hostile,)), Where(ids=(hostile,)), Where(sources=(hostile,))):
        assert store.papers(where) == []
    assert [entry.id for entry in store.papers(Where(authors=(hostile,)))] == ["id2"]
    assert len(store) == 2


def test_the_neighbour_of_a_deleted_paper_is_found_by_its_own_vector(store):
    """Numbering vectors by how many there are gives, after a deletion, the vector of one paper to another."""
    store.add([paper(n) for n in range(1, 5)])
    store.delete(["id1"])
    store.add([paper(5)])
    for number in (2, 3, 4, 5):
        entry = paper(number)
        vector = oracle.passage_vectors(entry.title, entry.abstract, WINDOW)[0]
        found = store.candidates(vector, [], 10)
        assert found.papers[found.by_meaning[0]].paper.id == f"id{number}"
        assert len(found.by_meaning) == 4


@pytest.mark.parametrize("limit", [10**13, 10**20])
def test_a_limit_beyond_the_collection_finds_all_of_it(store, limit):
    entries = [paper(n) for n in range(5)]
    assert_search_is_exact(store, [], "title word3", limit)
    store.add(entries)
    assert_search_is_exact(store, entries, "title word3", limit)


def test_a_search_that_is_answered_again_under_a_filter_sees_what_was_added_meanwhile(store):
    """What passes a filter is remembered for one generation only."""
    where = Where(year_from=2020)
    store.add([paper(1, year=2021), paper(2, year=2001)])
    for _ in range(2):
        assert_search_is_exact(store, [paper(1, year=2021)], "title word2", 5, where)
    store.add([paper(2, year=2022), paper(3, year=2023)])
    assert_search_is_exact(
        store, [paper(1, year=2021), paper(2, year=2022), paper(3, year=2023)], "title word2", 5, where
    )


# -- adding, changing, deleting -------------------------------------------------------------------------------


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


def test_a_paper_is_found_and_deleted_by_any_of_its_identifiers_in_any_form(store):
    store.add([Paper.create("T", "Abstract.", doi="10.1000/ABC", identifiers=("arXiv:2401.00001v3", "own"))])
    for name in ("doi:10.1000/abc", "https://doi.org/10.1000/ABC", "https://arxiv.org/abs/2401.00001", "own"):
        assert store.paper(name).title == "T"
    for name in ("10.1000/abd", "OWN", "", " "):
        with pytest.raises(KeyError):
            store.paper(name)
    assert store.delete(["https://arxiv.org/pdf/2401.00001v1.pdf", "own"]) == 1
    assert len(store) == 0
    assert store.delete(["own"]) == 0


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
    assert_sound(store)


def test_rejected_records_reach_the_report(store):
    rejected = Rejected("a.jsonl:3", "title", "is empty")
    assert store.add([paper(1), rejected]).rejected == (rejected,)


def test_what_is_no_paper_is_the_callers_slip(store):
    with pytest.raises(TypeError, match=r"record 2 is a dict; make papers with Paper\.create"):
        store.add([paper(1), {"title": "T"}])


# -- interruptions --------------------------------------------------------------------------------------------


def test_an_add_that_fails_leaves_an_open_store_searchable_and_says_so(folder, store):
    def records():
        yield from (paper(n) for n in range(32))
        while len(store) < 32:  # the batch is embedded and written in other threads
            time.sleep(0.001)
        yield paper(99)
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        store.add(records(), source="refs.bib")
    kept = [paper(n) for n in range(32)]
    assert store.papers() == kept
    assert_search_is_exact(store, kept, "title word3", 32)
    assert store.interrupted == "refs.bib"
    checks = statuses(store)
    assert checks.pop("last add") is False
    assert set(checks) == {"database", "papers", "texts", "vectors", "search", "keywords"}
    assert all(checks.values())
    assert reopened(folder).interrupted == "refs.bib"


def test_an_add_in_progress_is_not_called_interrupted(folder, store):
    reports = []

    def records():
        yield from (paper(n) for n in range(32))
        reader = reopened(folder)
        reports.append((reader.interrupted, {check.name: check for check in reader.check()}, reader))
        yield paper(99)

    store.add(records(), source="refs.bib")
    (interrupted, checks, reader) = reports[0]
    assert interrupted is None
    assert checks["last add"].ok
    assert f"process {os.getpid()}" in checks["last add"].detail
    assert "is adding refs.bib now" in checks["last add"].detail
    everything = [*(paper(n) for n in range(32)), paper(99)]
    assert_search_is_exact(reader, everything, "title word99", 100)


def test_an_add_that_ends_does_not_hide_another_that_was_interrupted(folder, store):
    def records():
        yield paper(1)
        raise RuntimeError("the source broke")

    for source in ("b.bib", "a.bib"):
        with pytest.raises(RuntimeError):
            store.add(records(), source=source)
    store.add([paper(2)], source="c.bib")
    for opened in (store, reopened(folder)):
        assert opened.interrupted == "a.bib, b.bib"
        assert {check.name: check.detail for check in opened.check()}["last add"] == (
            "adding a.bib, b.bib was interrupted; add it again to finish"
        )
    store.add([paper(1)], source="a.bib")
    assert store.interrupted == "b.bib"
    store.add([paper(1)], source="b.bib")
    assert store.interrupted is None
    assert_sound(reopened(folder))


# -- several at once ------------------------------------------------------------------------------------------


def test_a_reader_of_another_process_follows_the_writer(folder, store):
    store.add([paper(1)])
    reader = reopened(folder)
    store.add([paper(2), paper(3)])
    store.delete(["id1"])
    assert_search_is_exact(reader, [paper(2), paper(3)], "title word1 word2", 5)
    reader.add([paper(4)])
    assert_search_is_exact(store, [paper(2), paper(3), paper(4)], "title word4", 5)
    assert_sound(store)


def test_a_reader_keeps_its_keywords_while_another_process_saves_them(folder, store):
    entries = [paper(n) for n in range(4)]
    store.add(entries)
    reader = reopened(folder)
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
                    wanted = oracle.passage_vectors(stored.paper.title, stored.paper.abstract, WINDOW)
                    np.testing.assert_array_equal(stored.passage_vectors, wanted)
                searches.append(found.total)
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(10, 22, 2):
        store.add([paper(number), paper(number + 1), paper(0, f"Edition {number}.")])
        store.delete([f"id{number}"])
    store.reindex(HashEncoder(WINDOW), 20)  # the same vectors, as every abstract is one passage
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert searches
    assert len(store) == 16
    assert_sound(store)


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
    assert_sound(store)


def test_a_store_that_was_closed_opens_its_files_again(store):
    store.add([paper(1)])
    store.close()
    assert_search_is_exact(store, [paper(1)], "title", 1)
    store.close()
    assert store.add([paper(2)]).added == 1


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
    opened = PaperStore.open(folder, encoder)
    assert_search_is_exact(opened, entries, "title word3", 3, window=256)
    with pytest.raises(IndexMismatchError, match=r"built with hash.*ask for other"):
        PaperStore.open(folder, LlamaIndexEncoder(HashEmbedding(model_name="other")))


def test_the_lock_is_free_after_an_add(folder, store):
    store.add([paper(1)])
    with writer_lock(folder):
        pass
