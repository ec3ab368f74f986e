"""One writer at a time, across processes. Readers need no lock."""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import IndexLockedError, IndexStoreError


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the write lock of an index folder. It is released by the system if the process dies.

    Raises:
        IndexLockedError: If another process holds it; the message names that process.
        IndexStoreError: If the folder cannot be written.
    """
    owner = folder / "writer.json"
    lock = FileLock(folder / "write.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as exc:
        raise IndexLockedError(
            f"{folder} is being written by {_describe(owner)}. Wait for it to finish and try again; "
            "reading is possible meanwhile."
        ) from exc
    except OSError as exc:
        raise _not_writable(folder, exc) from exc
    try:
        try:
            since = time.strftime("%H:%M:%S")
            command = Path(sys.argv[0]).name or "python"
            owner.write_text(
                json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since, "command": command})
            )
        except OSError as exc:
            raise _not_writable(folder, exc) from exc
        yield
    finally:
        with suppress(OSError):  # it only names the holder; the lock itself is what counts
            owner.unlink(missing_ok=True)
        lock.release()


def current_writer(folder: Path) -> str | None:
    """Return who is writing, in words; None if nobody is."""
    lock = FileLock(folder / "write.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return _describe(folder / "writer.json")
    except OSError:  # the folder cannot be written by this process: nobody is known to
        return None
    lock.release()
    return None


def _not_writable(folder: Path, exc: OSError) -> IndexStoreError:
    return IndexStoreError(
        f"The index {folder} cannot be written: {exc.strerror or exc}. What was stored before is unchanged. "
        "Check the free disk space and that the folder can be written, then try again."
    )


def _describe(owner: Path) -> str:
    try:
        facts = json.loads(owner.read_text())
        return f"process {facts['pid']} ({facts['command']} on {facts['host']}, since {facts['since']})"
    except (OSError, ValueError, KeyError, TypeError):  # the writer is just starting or ending
        return "another process"
