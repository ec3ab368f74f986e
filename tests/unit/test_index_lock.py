"""The write lock: one writer, named to whoever else wants to write, and free as soon as it is dead."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import HashEncoder

from index.errors import IndexLockedError, IndexStoreError
from index.lock import current_writer, writer_lock
from index.paper import Paper
from index.store import PaperStore

REPOSITORY = Path(__file__).resolve().parents[2]
HOLD = """
import sys
sys.path.insert(0, {repository!r})
from pathlib import Path
from index.lock import writer_lock
with writer_lock(Path({folder!r})):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of ``tmp_path``."""
    script = HOLD.format(repository=str(REPOSITORY), folder=str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_is_refused_and_told_who_the_first_is(tmp_path, holder):
    with pytest.raises(IndexLockedError, match=rf"written by process {holder.pid} \(.*since \d\d:\d\d:\d\d.*try again"):
        with writer_lock(tmp_path):
            pytest.fail("two writers")
    assert f"process {holder.pid}" in current_writer(tmp_path)


def test_the_lock_of_a_killed_process_is_free(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert current_writer(tmp_path) is None
    with writer_lock(tmp_path):
        assert json.loads((tmp_path / "writer.json").read_text())["pid"] == os.getpid()


def test_a_store_cannot_be_written_but_read_while_another_process_writes(tmp_path, holder):
    folder = tmp_path / "papers.idx"
    store = PaperStore.open(folder, HashEncoder(), create=True)
    store.add([Paper("a", "Title", "Abstract.")])
    script = HOLD.format(repository=str(REPOSITORY), folder=str(folder))
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        for write in (lambda: store.add([Paper("b", "T", "A.")]), lambda: store.delete(["a"])):
            with pytest.raises(IndexLockedError, match=f"process {other.pid}"):
                write()
        assert [paper.id for paper in PaperStore.open(folder, HashEncoder()).papers()] == ["a"]
        other.kill()
    assert store.delete(["a"]) == 1


def test_the_lock_is_released_when_its_holder_fails(tmp_path):
    with pytest.raises(RuntimeError), writer_lock(tmp_path):
        raise RuntimeError
    assert current_writer(tmp_path) is None
    assert not (tmp_path / "writer.json").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "3"])
def test_a_writer_that_cannot_be_read_is_another_process(tmp_path, holder, content):
    (tmp_path / "writer.json").write_text(content)
    with pytest.raises(IndexLockedError, match="written by another process"), writer_lock(tmp_path):
        pass


def test_a_folder_that_is_gone_is_an_error_of_ours(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(IndexStoreError, match=r"cannot be written.*try again"), writer_lock(tmp_path / "file" / "x"):
        pass


def test_a_full_disk_is_an_error_of_ours_and_frees_the_lock(tmp_path, monkeypatch):
    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(IndexStoreError, match="cannot be written: No space left"), writer_lock(tmp_path):
            pass
    with writer_lock(tmp_path):
        pass
