"""Disks that are full or cannot be written: what was stored stays, the error says what to do, and it goes on after."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from damage import drop_keywords, drop_vectors
from fakes import HashEncoder
from oracle import assert_search_is_exact, assert_sound, statuses
from stores import WINDOW, paper, reopened

import index.database
import index.vectors
from index.errors import IndexStoreError
from index.store import PaperStore

REPOSITORY = Path(__file__).resolve().parents[2]
BATCH = 32


@pytest.fixture
def folder(memory_path):
    return memory_path / "papers.idx"


@pytest.fixture
def store(folder):
    return PaperStore.open(folder, HashEncoder(WINDOW), create=True)


# -- a disk that is full, as SQLite and FAISS tell it ---------------------------------------------------------


def test_a_disk_that_fills_up_while_adding_keeps_the_earlier_batches(folder, store, monkeypatch):
    real = index.database._connect

    def small(path, mode):
        db = real(path, mode)
        db.execute("PRAGMA max_page_count = 150")
        return db

    entries = [paper(n, "Many words. " * 30 + "End.") for n in range(8 * BATCH)]
    store.close()
    with monkeypatch.context() as patch:
        patch.setattr(index.database, "_connect", small)
        with pytest.raises(IndexStoreError, match=r"full.*stored before is unchanged.*free disk space"):
            store.add(entries, source="refs.bib")
    store.close()
    kept = len(store)
    assert 0 < kept < len(entries)
    assert kept % BATCH == 0
    assert store.papers() == entries[:kept]
    assert_search_is_exact(store, entries[:kept], "title word3", 10)
    assert store.add(entries, source="refs.bib").unchanged == kept
    assert store.papers() == entries
    assert_sound(store)


def full(*_arguments, **_options):
    raise RuntimeError("Error: 'ret == (count)' failed: write error: No space left on device")


def test_a_disk_that_fills_up_while_saving_search_files_loses_nothing(folder, store, monkeypatch):
    entries = [paper(n) for n in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr(index.vectors.faiss, "write_index", full)
        with pytest.raises(IndexStoreError, match=r"search files .*could not be saved.*papers are stored"):
            store.add(entries)
    assert_search_is_exact(store, entries, "title word1", 3)
    opened = reopened(folder)
    assert opened.papers() == entries
    assert_search_is_exact(opened, entries, "title word1", 3)
    assert_sound(opened)


def test_opening_with_a_full_disk_mends_in_memory(folder, store, monkeypatch):
    entries = [paper(n) for n in range(3)]
    store.add(entries)
    drop_vectors(folder)
    drop_keywords(folder)
    monkeypatch.setattr(index.vectors.faiss, "write_index", full)
    opened = reopened(folder)
    assert_search_is_exact(opened, entries, "title word1", 3)
    checks = {check.name: check for check in opened.check()}
    assert all(check.ok for check in checks.values())
    assert "in memory, the files could not be written" in checks["vectors"].detail


def test_keywords_that_cannot_be_saved_in_the_middle_of_an_add_are_saved_at_its_end(folder, store, monkeypatch):
    def slow_disk(self, *_arguments):
        raise OSError(28, "No space left on device")

    def records():
        with monkeypatch.context() as patch:
            patch.setattr("index.derived._KEYWORDS_EVERY_S", 0)
            patch.setattr("index.keywords.KeywordIndex._write", slow_disk)
            yield from entries[:-1]
            while len(store) < BATCH:
                pass
        yield entries[-1]

    entries = [paper(n) for n in range(BATCH + 2)]
    assert store.add(records()).added == len(entries)
    for each in (store, reopened(folder)):
        assert_search_is_exact(each, entries, "title word3", 40, collection=entries)
        assert_sound(each)


# -- a disk that is full in earnest ---------------------------------------------------------------------------

FULL = """
import resource, signal, sys
sys.path[:0] = [{repository!r}, {tests!r}]
from pathlib import Path
from fakes import HashEncoder
from oracle import assert_search_is_exact, assert_sound
from index.errors import IndexStoreError
from index.paper import Paper
from index.store import PaperStore

def paper(number):
    return Paper(f"id{{number}}", f"Title {{number}}", f"Abstract word{{number}}. " + "Words on graphs. " * 40 + "End.")

def lists(first, last):
    return [paper(number) for number in range(first, last)]

folder = Path({folder!r})
store = PaperStore.open(folder, HashEncoder(256), create=True)
store.add(lists(0, 64), "first.bib")
known = 64
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
{limit}
stopped = 0
while not stopped:
    try:
        store.add(lists(known, known + 128), f"{{known}}.bib")
        known += 128
    except IndexStoreError as exc:
        print(exc, flush=True)
        stopped = len(store)
    assert known < 20_000
assert stopped >= known, (stopped, known)
for each in (store, PaperStore.open(folder, HashEncoder(256))):
    kept = each.papers()
    assert kept == lists(0, stopped)
    assert_search_is_exact(each, kept, "title word77 graphs", 5, collection=kept)
    assert_sound(each, but=["last add"])
{lift}
store = PaperStore.open(folder, HashEncoder(256))
assert store.papers() == lists(0, stopped)
report = store.add(lists(known, known + 128), f"{{known}}.bib")
assert report.unchanged == stopped - known, (report, stopped, known)
kept = lists(0, known + 128)
for each in (store, PaperStore.open(folder, HashEncoder(256))):
    assert each.papers() == kept
    assert_search_is_exact(each, kept, "title word77 graphs", 5, collection=kept)
    assert_sound(each)
print("went on", known, stopped)
"""


def run(script, **values):
    script = script.format(repository=str(REPOSITORY), tests=str(REPOSITORY / "tests"), **values)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("kilobytes", [300, 700, 1500])
def test_files_that_may_not_grow_leave_a_sound_index_and_grow_again_later(memory_path, kilobytes):
    """The system refuses the write, in whichever file, as it does on a full disk."""
    limit = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes} * 1024, resource.RLIM_INFINITY))"
    lift = "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))"
    result = run(FULL, folder=str(memory_path / "papers.idx"), limit=limit, lift=lift)
    assert result.returncode == 0, result.stderr + result.stdout
    message, last = result.stdout.splitlines()
    assert "Check the free disk space and that the folder can be written" in message
    assert last.startswith("went on")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes, where this process may make one."""
    mount = tmp_path / "disk"
    mount.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", mount], check=False).returncode:
        pytest.skip("a file system cannot be made here")
    yield mount
    subprocess.run(["umount", "--lazy", mount], check=True)


def test_a_full_disk_leaves_a_sound_index_that_grows_again_when_there_is_room(small_disk):
    lift = f"import subprocess\nsubprocess.run(['mount', '-o', 'remount,size=64m', {str(small_disk)!r}], check=True)"
    result = run(FULL, folder=str(small_disk / "papers.idx"), limit="", lift=lift)
    assert result.returncode == 0, result.stderr + result.stdout
    message, last = result.stdout.splitlines()
    assert "Check the free disk space and that the folder can be written" in message
    assert last.startswith("went on")


# -- a folder that cannot be written --------------------------------------------------------------------------

READ_ONLY = """
import os, sys
sys.path[:0] = [{repository!r}, {tests!r}]
from pathlib import Path
from fakes import HashEncoder
from index.errors import IndexStoreError
from index.paper import Paper
from index.store import PaperStore
from index.terms import analysis
analysis()  # it is read from the packages, which another user may not read
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
folder = Path({folder!r})
assert not os.access(folder, os.W_OK)
store = PaperStore.open(folder, HashEncoder({window}))
for _ in range(2):
    found = store.candidates(HashEncoder({window}).embed_queries(["title word2"])[0], ["word2"], 3)
    print(found.papers[found.by_meaning[0]].paper.id, [found.papers[k].paper.id for k in found.by_keyword], len(store))
print(all(check.ok for check in store.check()))
for write in (lambda: store.add([Paper("new", "T", "Text.")]), lambda: store.delete(["id1"]),
              lambda: store.reindex(HashEncoder({window}), 16)):
    try:
        write()
    except IndexStoreError as exc:
        print(exc)
"""


@pytest.mark.parametrize("damages", [(), (drop_vectors, drop_keywords)], ids=["sound", "without search files"])
def test_a_read_only_folder_can_be_searched_and_not_written(folder, store, damages):
    store.add([paper(n) for n in range(4)])
    store.close()
    for damage in damages:
        damage(folder)
    for path in [*folder.rglob("*"), folder]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for parent in folder.parents[:4]:
        if parent not in (Path("/tmp"), Path("/dev"), Path("/"), Path("/dev/shm")):
            parent.chmod(parent.stat().st_mode | 0o055)
    result = run(READ_ONLY, folder=str(folder), window=WINDOW)
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755)
    lines = result.stdout.splitlines()
    assert lines[:3] == ["id2 ['id2'] 4", "id2 ['id2'] 4", "True"], result.stderr
    assert len(lines) == 6
    assert all("cannot be written" in line for line in lines[3:])
    assert statuses(store)["database"]
