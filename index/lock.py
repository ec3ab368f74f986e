"""One writer at a time, across processes. Readers need no lock."""

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import IndexLockedError


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the write lock of an index folder. It is released by the system if the process dies.

    Raises:
        IndexLockedError: If another process holds it; the message names that process.
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
    try:
        since = time.strftime("%H:%M:%S")
        command = Path(sys.argv[0]).name or "python"
        owner.write_text(
            json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since, "command": command})
        )
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


def _describe(owner: Path) -> str:
    try:
        facts = json.loads(owner.read_text())
        return f"process {facts['pid']} ({facts['command']} on {facts['host']}, since {facts['since']})"
    except (OSError, ValueError, KeyError):  # the writer is just starting or ending
        return "another process"
