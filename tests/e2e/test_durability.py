"""A writing process is killed at any instant: the next one finds a sound index, is told, and finishes the work."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fakes import DIMENSION, HashEncoder

from index.embedding.encoder import PassageText
from index.ingest import PAPERS_PER_BATCH
from index.paper import Paper
from index.store import PaperStore
from index.terms import document_terms
from rag import PaperQA

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCE = "refs.bib"
PAPERS = 5 * PAPERS_PER_BATCH + 7

# A process that adds papers with a slow model, counts in a file what it embeds, and can be told where to die.
WRITER = """
import os, signal, sys, time
sys.path[:0] = [{repository!r}, {tests!r}]
from pathlib import Path
from fakes import HashEncoder
import index.keywords, index.store, index.vectors
from index.paper import Paper
from index.store import PaperStore

class SlowEncoder(HashEncoder):
    def embed_passages(self, passages):
        with open({log!r}, "a") as log:
            log.write(f"{{len(passages)}}\\n")
        time.sleep({delay_s})
        return super().embed_passages(passages)

def die(*_arguments, **_options):
    os.kill(os.getpid(), signal.SIGKILL)

store = PaperStore.open(Path({folder!r}), SlowEncoder(), create=True)
print("open", flush=True)
{fault}
papers = [Paper(f"id{{n}}", f"Title {{n}}", f"Abstract {edition} of word{{n}}.") for n in range({papers})]
report = store.add(papers, source={source!r})
print(report.added + report.updated, report.unchanged, flush=True)
"""


class Writer:
    """Starts writers of one index and adds up what they embedded."""

    def __init__(self, home):
        self.folder = home / "papers.idx"
        self.log = home / "embedded.log"

    def start(self, fault="", delay_s=0.04, edition="one", papers=PAPERS):
        """Start a writer; it has opened the index when this returns."""
        script = WRITER.format(
            repository=str(REPOSITORY),
            tests=str(REPOSITORY / "tests"),
            folder=str(self.folder),
            log=str(self.log),
            delay_s=delay_s,
            fault=fault,
            edition=edition,
            papers=papers,
            source=SOURCE,
        )
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "open\n", process.stderr.read()
        return process

    def finish(self, **options):
        """Run a writer to its end and return its numbers of written and of unchanged papers."""
        output, errors = self.start(delay_s=0, **options).communicate(timeout=60)
        written, unchanged = map(int, output.split())
        assert not errors
        return written, unchanged

    def embedded(self):
        return sum(map(int, self.log.read_text().split())) if self.log.exists() else 0


@pytest.fixture
def writer(tmp_path):
    return Writer(tmp_path)


def expected(number, edition="one"):
    return Paper(f"id{number}", f"Title {number}", f"Abstract {edition} of word{number}.")


def assert_sound(folder, kept, edition="one"):
    """Open the index after a kill: it holds the first ``kept`` papers, finds each, and names what was interrupted."""
    store = PaperStore.open(folder, HashEncoder())
    checks = {check.name: check for check in store.check()}
    assert all(check.ok for name, check in checks.items() if name != "last add"), checks
    assert store.papers() == [expected(n, edition) for n in range(kept)]
    for number in range(0, kept, 10):
        vector = HashEncoder().embed_queries([f"Title {number} Abstract {edition} of word{number}"])[0]
        found = store.candidates(vector, [f"word{number}"], 3)
        assert found.papers[found.by_meaning[0]].paper == expected(number, edition)
        assert [found.papers[key].paper.id for key in found.by_keyword] == [f"id{number}"]
    return store, checks["last add"]


def test_a_writer_killed_at_random_instants_loses_at_most_a_batch_each_time(writer):
    generator = random.Random(4)
    kills = 0
    for _ in range(6):
        process = writer.start()
        time.sleep(generator.uniform(0.0, 0.25))
        process.send_signal(signal.SIGKILL)
        output, _ = process.communicate()
        kills += not output
        kept = len(PaperStore.open(writer.folder, HashEncoder()))
        assert kept % PAPERS_PER_BATCH == 0 or kept == PAPERS
        store, last_add = assert_sound(writer.folder, kept)
        if 0 < kept < PAPERS:
            assert not last_add.ok
            assert last_add.detail == f"adding {SOURCE} was interrupted; add it again to finish"
            assert store.interrupted == SOURCE
    assert kills > 0
    written, unchanged = writer.finish()
    assert written + unchanged == PAPERS
    _, last_add = assert_sound(writer.folder, PAPERS)
    assert last_add.ok
    assert PAPERS <= writer.embedded() <= PAPERS + kills * PAPERS_PER_BATCH


FAULTS = {
    "before the search files are saved": "PaperStore._save_derived = die",
    "while FAISS writes": "index.vectors.faiss.write_index = die",
    "between the FAISS file and its stamp": """
real = Path.replace
Path.replace = lambda self, target: die() if target.name == 'vectors.json' else real(self, target)""",
    "before the keywords are touched": "index.keywords.KeywordIndex._write = die",
    "between the keywords and their stamp": "index.keywords.KeywordIndex._save_stamp = die",
    "before the end is noted": """
real = index.store.database.set_meta
index.store.database.set_meta = lambda db, key, value: real(db, key, value) if value else die()""",
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_writer_killed_after_its_last_commit_loses_nothing(writer, fault):
    process = writer.start(fault, delay_s=0)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    assert_sound(writer.folder, PAPERS)
    assert writer.finish() == (0, PAPERS)
    assert writer.embedded() == PAPERS
    assert assert_sound(writer.folder, PAPERS)[1].ok


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_writer_killed_while_it_updates_leaves_the_new_texts_searchable(writer, fault):
    writer.finish(papers=40)
    process = writer.start(fault, delay_s=0, edition="two", papers=40)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    store, _ = assert_sound(writer.folder, 40, edition="two")
    assert store.candidates(np.eye(DIMENSION, dtype=np.float32)[0], document_terms("one"), 5).by_keyword == ()


def test_a_process_killed_while_it_rebuilds_the_keywords_does_not_leave_them_empty(writer):
    writer.finish(papers=40)
    (writer.folder / "keywords" / "meta.json").write_text("{}")
    fault = "real = index.keywords.shutil.rmtree\nindex.keywords.shutil.rmtree = lambda p, **o: (real(p), die())"
    script = f"import index.keywords, os, signal\ndie = lambda: os.kill(os.getpid(), signal.SIGKILL)\n{fault}\n" + (
        "from pathlib import Path\nfrom fakes import HashEncoder\nfrom index.store import PaperStore\n"
        f"PaperStore.open(Path({str(writer.folder)!r}), HashEncoder())\n"
    )
    path = f"import sys\nsys.path[:0] = [{str(REPOSITORY)!r}, {str(REPOSITORY / 'tests')!r}]\n"
    killed = subprocess.run([sys.executable, "-c", path + script], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert_sound(writer.folder, 40)


@pytest.mark.parametrize("made", [True, False], ids=["in an empty folder", "in no folder"])
@pytest.mark.parametrize(
    "fault",
    [
        "index.database.writer_lock = die",
        "index.database.connect = die",
        "index.database.secrets.randbits = die",
        "Path.replace = die",
        "PaperStore.__init__ = die",
    ],
)
def test_a_process_killed_while_it_makes_the_index_leaves_a_place_to_make_one(tmp_path, fault, made):
    folder = tmp_path / "papers.idx"
    if made:
        folder.mkdir()
    script = (
        f"import sys\nsys.path[:0] = [{str(REPOSITORY)!r}, {str(REPOSITORY / 'tests')!r}]\n"
        "import os, signal\nfrom pathlib import Path\n"
        "from fakes import HashEncoder\nimport index.database\nfrom index.paper import Paper\n"
        "from index.store import PaperStore\nfrom rag import PaperQA\n"
        f"qa = PaperQA.open({str(folder)!r}, embed_model=HashEncoder())\n"
        "die = lambda *a, **o: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"{fault}\n"
        "qa.add([Paper('a', 'T', 'A.')])\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    qa = PaperQA.open(folder, embed_model=HashEncoder())
    assert len(qa) == 0
    qa.add([expected(1)])
    assert qa.papers() == [expected(1)]
    assert all(check.ok for check in qa.check())


def test_a_reader_sees_only_whole_papers_while_another_process_updates_them(writer):
    writer.finish(papers=PAPERS)
    reader = PaperStore.open(writer.folder, HashEncoder())
    vector = HashEncoder().embed_queries(["Title of an abstract"])[0]
    process = writer.start(delay_s=0.05, edition="two")
    editions = set()
    while process.poll() is None:
        found = reader.candidates(vector, ["titl"], 25)
        assert found.total == PAPERS
        assert len(set(found.by_meaning)) == 25
        assert found.papers.keys() == {*found.by_meaning, *found.by_keyword}
        for stored in found.papers.values():
            entry = stored.paper
            number, edition = int(entry.id.removeprefix("id")), entry.abstract.split()[1]
            editions.add(edition)
            assert entry == expected(number, edition)
            text = PassageText(entry.title, entry.abstract, ((0, len(entry.abstract)),))
            passage = HashEncoder().embed_passages([text])[0].passage
            np.testing.assert_array_equal(stored.passage_vectors, [passage.astype(np.float16).astype(np.float32)])
    process.communicate()
    assert process.returncode == 0
    assert editions == {"one", "two"}
    _, last_add = assert_sound(writer.folder, PAPERS, edition="two")
    assert last_add.ok
    found = reader.candidates(vector, ["word3", "two"], PAPERS)
    assert len(found.by_keyword) == PAPERS
