"""A writing process is killed at any instant: the next one finds a sound index, is told, and finishes the work."""

import random
import signal
import time

import crash
import numpy as np
import pytest
from crash import BATCH
from fakes import DIMENSION, HashEncoder
from oracle import assert_search_is_exact, assert_sound, passage_vectors

from index.errors import IndexLockedError
from index.paper import Paper
from index.store import PaperStore
from index.terms import document_terms
from rag import PaperQA

SOURCE = "refs.bib"
PAPERS = 5 * BATCH + 3

# A process that adds papers with a slow model, counts in a file what it embeds, and can be told where to die.
WRITER = """
import os, signal, time
from pathlib import Path
import crash
import index.database, index.derived, index.ingest, index.keywords, index.reindex, index.rows, index.store
import index.vectors
from index.database import Database
from index.paper import Paper
from index.store import PaperStore

def die(*_arguments, **_options):
    os.kill(os.getpid(), signal.SIGKILL)

def die_after(calls, real, wait_s=0.0):
    counted = []
    def call(*arguments, **options):
        counted.append(1)
        return real(*arguments, **options) if len(counted) <= calls else (time.sleep(wait_s), die())
    return call

encoder = crash.SlowEncoder(Path({log!r}), {delay_s})
store = PaperStore.open(Path({folder!r}), encoder, create=True)
print("open", flush=True)
papers = [Paper(f"id{{n}}", f"Title {{n}}", f"Abstract {edition} of word{{n}}.") for n in range({papers})]
{fault}
{work}
"""
ADD = f"report = store.add(papers, source={SOURCE!r})\nprint(report.added + report.updated, report.unchanged)"


@pytest.fixture(scope="module")
def server():
    with crash.Server() as server:
        yield server


class Writer:
    """Starts writers of one index and adds up what they embedded."""

    def __init__(self, server, home):
        self.server, self.folder, self.log = server, home / "papers.idx", home / "embedded.log"

    def start(self, fault="", *, work=ADD, delay_s=0.03, edition="one", papers=PAPERS):
        """Start a writer and return the id of its process."""
        return self.server.start(
            WRITER.format(
                folder=str(self.folder),
                log=str(self.log),
                fault=fault,
                work=work,
                delay_s=delay_s,
                edition=edition,
                papers=papers,
            )
        )

    def die(self, fault, **options):
        """Run a writer that is killed by ``fault``."""
        code, output = self.server.wait(self.start(fault, delay_s=0, **options))
        assert code == -signal.SIGKILL, output

    def finish(self, **options):
        """Run a writer to its end and return its numbers of written and of unchanged papers."""
        code, output = self.server.wait(self.start(delay_s=0, **options))
        assert code == 0, output
        written, unchanged = map(int, output.split()[1:])
        return written, unchanged

    def embedded(self):
        return sum(len(fact.get("embedding", ())) for fact in crash.read(self.log))


@pytest.fixture
def writer(server, memory_path):
    return Writer(server, memory_path)


def expected(number, edition="one"):
    return Paper(f"id{number}", f"Title {number}", f"Abstract {edition} of word{number}.")


def open_store(folder):
    return PaperStore.open(folder, HashEncoder(24))


def assert_kept(folder, kept, edition="one"):
    """Open the index after a kill: it holds the first ``kept`` papers, finds each, and names what was interrupted."""
    store = open_store(folder)
    assert_sound(store, but=["last add"])
    papers = [expected(n, edition) for n in range(kept)]
    assert store.papers() == papers
    for number in range(0, kept, 10):
        found = assert_search_is_exact(store, papers, f"Title {number} word{number}", 3, collection=papers)
        assert [found.papers[key].paper.id for key in found.by_keyword][:1] == [f"id{number}"]
    return store, {check.name: check for check in store.check()}["last add"]


def test_a_writer_killed_at_random_instants_loses_what_was_on_its_way_and_no_more(writer):
    generator = random.Random(4)
    kills = 0
    for _ in range(8):
        process = writer.start()
        time.sleep(generator.uniform(0.02, 0.25))
        code, output = writer.server.kill(process)
        kills += code != 0
        if not (writer.folder / "papers.sqlite").exists():
            continue
        kept = len(open_store(writer.folder))
        assert kept % BATCH == 0 or kept == PAPERS, output
        store, last_add = assert_kept(writer.folder, kept)
        if 0 < kept < PAPERS:
            assert not last_add.ok
            assert last_add.detail == f"adding {SOURCE} was interrupted; add it again to finish"
            assert store.interrupted == SOURCE
    assert kills > 0
    written, unchanged = writer.finish()
    assert written + unchanged == PAPERS
    _, last_add = assert_kept(writer.folder, PAPERS)
    assert last_add.ok
    # While one batch is written the next is embedded.
    assert PAPERS <= writer.embedded() <= PAPERS + kills * 2 * BATCH


AFTER_THE_LAST_COMMIT = {
    "before the search files are saved": "index.derived.Derived.save = die",
    "while FAISS writes": "index.vectors.faiss.write_index = die",
    "between the FAISS file and its keys": "index.vectors.np.save = die",
    "between the FAISS files and their stamp": """
real = Path.replace
Path.replace = lambda self, target: die() if target.name == 'vectors.json' else real(self, target)""",
    "after the stamp of the FAISS files": """
real = Path.replace
Path.replace = lambda self, target: (real(self, target), target.name == 'vectors.json' and die())""",
    "before the keywords are touched": "index.keywords.KeywordIndex._write = die",
    "between the keywords and their stamp": "index.keywords.KeywordIndex._save_stamp = die",
    "before the logs are emptied": "index.derived.Derived._trim_logs = die",
    "while the logs are emptied": "index.derived.forget_removals = lambda db: (db.execute('DELETE FROM names'), die())",
    "before the end is noted": "index.store.database.set_finished = die",
}


@pytest.mark.parametrize("fault", AFTER_THE_LAST_COMMIT.values(), ids=AFTER_THE_LAST_COMMIT.keys())
def test_a_writer_killed_after_its_last_commit_loses_nothing(writer, fault):
    writer.die(fault)
    assert_kept(writer.folder, PAPERS)
    assert writer.finish() == (0, PAPERS)
    assert writer.embedded() == PAPERS
    assert assert_kept(writer.folder, PAPERS)[1].ok


@pytest.mark.parametrize("fault", AFTER_THE_LAST_COMMIT.values(), ids=AFTER_THE_LAST_COMMIT.keys())
def test_a_writer_killed_while_it_updates_leaves_the_new_texts_searchable(writer, fault):
    writer.finish(papers=20)
    writer.die(fault, edition="two", papers=20)
    store, _ = assert_kept(writer.folder, 20, edition="two")
    assert store.candidates(np.eye(DIMENSION, dtype=np.float32)[0], document_terms("one"), 5).by_keyword == ()


IN_A_BATCH = {
    "before it is embedded": (
        "crash.SlowEncoder.embed_passages = die_after(2, crash.SlowEncoder.embed_passages, wait_s=0.3)",
        2,
    ),
    "before the transaction": ("Database.writing = die_after(2, Database.writing)", 2),
    "between two papers": (f"index.rows.insert_paper = die_after({2 * BATCH + 3}, index.rows.insert_paper)", 2),
    "between a paper and what was computed": (
        f"index.rows.write_computed = die_after({2 * BATCH + 3}, index.rows.write_computed)",
        2,
    ),
    "before the commit": ("index.ingest.rows.trim_spare = die_after(2, index.ingest.rows.trim_spare)", 2),
    "after the commit": ("index.derived.Derived.save_keywords_now_and_then = die_after(2, lambda self: None)", 3),
}


@pytest.mark.parametrize(("fault", "batches"), IN_A_BATCH.values(), ids=IN_A_BATCH.keys())
def test_a_writer_killed_within_a_batch_keeps_the_batches_before_whole(writer, fault, batches):
    writer.die(fault)
    store, last_add = assert_kept(writer.folder, batches * BATCH)
    assert (last_add.ok, store.interrupted) == (False, SOURCE)
    assert writer.finish() == (PAPERS - batches * BATCH, batches * BATCH)
    assert assert_kept(writer.folder, PAPERS)[1].ok


DELETE = "store.delete([f'id{n}' for n in range(0, 20, 2)])"
DELETING = {
    "before the commit": ("index.store.rows.delete_papers = die", False),
    "after the papers are gone, before the commit": ("index.rows.trim_spare = die", False),
    "before the search files are saved": ("index.derived.Derived.save = die", True),
    "between the keywords and their stamp": ("index.keywords.KeywordIndex._save_stamp = die", True),
    "while FAISS writes": ("index.vectors.faiss.write_index = die", True),
}


@pytest.mark.parametrize(("fault", "gone"), DELETING.values(), ids=DELETING.keys())
def test_a_process_killed_while_it_deletes_has_deleted_all_or_none(writer, fault, gone):
    writer.finish(papers=20)
    writer.die(fault, work=DELETE)
    papers = [expected(n) for n in range(20) if n % 2 or not gone]
    store = open_store(writer.folder)
    assert_sound(store)
    assert store.papers() == papers
    found = assert_search_is_exact(store, papers, "Title word2 word3", 20, collection=papers)
    assert found.document_frequency["word2"] == int(not gone)


REINDEX = "store.reindex(crash.SlowEncoder(Path({log!r}), 0, 'anew'), 16)"
REINDEXING = {
    "before the tables are made": ("index.reindex._prepare = die", False, 0),
    "before the first batch": ("crash.SlowEncoder.embed_passages = die", False, 0),
    "after two batches": (
        "crash.SlowEncoder.embed_passages = die_after(2, crash.SlowEncoder.embed_passages)",
        False,
        None,
    ),
    "before the change-over": ("index.reindex._change_over = die", False, 20),
    "in the middle of the change-over": ("index.reindex.read_generation = die", False, 20),
    "at the end of the change-over, before its commit": (
        "index.reindex._change_over = (lambda real: lambda *a: (real(*a), die()))(index.reindex._change_over)",
        False,
        20,
    ),
    "after the change-over": ("index.derived.Derived.save = die", True, 20),
    "while FAISS writes": ("index.vectors.faiss.write_index = die", True, 20),
    "between the keywords and their stamp": ("index.keywords.KeywordIndex._save_stamp = die", True, 20),
}


@pytest.mark.parametrize(("fault", "changed", "kept"), REINDEXING.values(), ids=REINDEXING.keys())
def test_a_process_killed_while_it_reindexes_has_changed_all_or_nothing_and_goes_on(writer, fault, changed, kept):
    papers = [expected(n) for n in range(20)]
    writer.finish(papers=20)
    reader = open_store(writer.folder)
    work = REINDEX.format(log=str(writer.log))
    writer.die(fault, work=work)
    for store in (open_store(writer.folder), reader):
        assert store.papers() == papers
        assert_search_is_exact(store, papers, "Title 3 word3", 20, window=16 if changed else 24)
        assert store.passages.max_tokens == (16 if changed else 24)
    checks = {check.name: check for check in open_store(writer.folder).check()}
    begun = "reindexing" in checks
    assert begun == ("_prepare" not in fault and not changed)
    assert not begun or "citewell reindex" in checks["reindexing"].detail
    assert all(check.ok for name, check in checks.items() if name != "reindexing")

    before = writer.embedded()
    writer.server.run(WRITER.format(folder=str(writer.folder), log=str(writer.log), delay_s=0, edition="one", papers=20,
                                    fault="", work=work))  # fmt: skip
    again = writer.embedded() - before
    assert again == 20 - kept if kept is not None else 20 - 2 * BATCH <= again <= 20 - BATCH
    for store in (open_store(writer.folder), reader):
        assert_sound(store)
        assert_search_is_exact(store, papers, "Title 3 word3", 20, window=16)


def test_a_process_killed_while_it_rebuilds_the_keywords_does_not_leave_them_empty(writer):
    writer.finish(papers=20)
    fault = "real = index.keywords.shutil.rmtree\nindex.keywords.shutil.rmtree = lambda p, **o: (real(p), die())\n"
    damage = "(store.folder / 'keywords' / 'meta.json').write_text('{}')\n"
    writer.die(fault, work=damage + "PaperStore.open(store.folder, encoder)")
    assert_kept(writer.folder, 20)


CREATE = """
import os, signal
from pathlib import Path
from fakes import HashEncoder
import index.database
from index.paper import Paper
from index.store import PaperStore
from rag import PaperQA
qa = PaperQA.open({folder!r}, embed_model=HashEncoder())
die = lambda *a, **o: os.kill(os.getpid(), signal.SIGKILL)
{fault}
qa.add([Paper('a', 'T', 'A.')])
"""


@pytest.mark.parametrize("made", [True, False], ids=["in an empty folder", "in no folder"])
@pytest.mark.parametrize(
    "fault",
    [
        "index.database.writer_lock = die",
        "index.database._connect = die",
        "index.database.secrets.randbits = die",
        "Path.replace = die",
        "PaperStore.__init__ = die",
    ],
)
def test_a_process_killed_while_it_makes_the_index_leaves_a_place_to_make_one(server, memory_path, fault, made):
    folder = memory_path / "papers.idx"
    if made:
        folder.mkdir()
    code, output = server.run(CREATE.format(folder=str(folder), fault=fault))
    assert code == -signal.SIGKILL, output
    qa = PaperQA.open(folder, embed_model=HashEncoder())
    assert len(qa) == 0
    qa.add([expected(1)])
    assert qa.papers() == [expected(1)]
    assert all(check.ok for check in qa.check())


def test_a_reader_sees_only_whole_papers_while_another_process_updates_them(writer):
    writer.finish(papers=PAPERS)
    reader = open_store(writer.folder)
    vector = HashEncoder().embed_queries(["Title of an abstract"])[0]
    process = writer.start(delay_s=0.05, edition="two")
    editions = set()
    for _ in range(10_000):
        found = reader.candidates(vector, ["titl"], 25)
        assert found.total == PAPERS
        assert len(set(found.by_meaning)) == 25
        assert found.papers.keys() == {*found.by_meaning, *found.by_keyword}
        for stored in found.papers.values():
            entry = stored.paper
            number, edition = int(entry.id.removeprefix("id")), entry.abstract.split()[1]
            editions.add(edition)
            assert entry == expected(number, edition)
            np.testing.assert_array_equal(stored.passage_vectors, passage_vectors(entry.title, entry.abstract, 24))
        if editions == {"one", "two"} and len(reader.papers()) == PAPERS and "two" in reader.papers()[-1].abstract:
            break
    code, output = writer.server.wait(process)
    assert code == 0, output
    assert editions == {"one", "two"}
    _, last_add = assert_kept(writer.folder, PAPERS, edition="two")
    assert last_add.ok
    found = reader.candidates(vector, ["word3", "two"], PAPERS)
    assert len(found.by_keyword) == PAPERS


def test_a_second_writer_is_told_who_the_first_is_and_comes_after_its_death(writer):
    writer.finish(papers=20)
    process = writer.start(delay_s=5, edition="two", papers=20)
    while not any("embedding" in fact and "two" in str(fact) for fact in crash.read(writer.log)):
        time.sleep(0.01)
    store = open_store(writer.folder)
    for write in (
        lambda: store.add([expected(1)]),
        lambda: store.delete(["id1"]),
        lambda: store.reindex(store.encoder),
    ):
        with pytest.raises(IndexLockedError, match=rf"written by process {process} \(.*since \d\d:\d\d:\d\d"):
            write()
    assert store.papers() == [expected(n) for n in range(20)]
    assert f"process {process} " in {check.name: check for check in store.check()}["last add"].detail
    writer.server.kill(process)
    assert store.delete(["id1"]) == 1


@pytest.mark.parametrize("graph", [False, True], ids=["exhaustive", "by graph"])
def test_random_work_survives_random_kills(memory_path, graph):
    """A small run of what ``make crash-test`` does at length."""
    done = crash.run(12 - 6 * graph, seed=5 + graph, home=memory_path, graph=graph)
    assert done["embedded"] > 0
