"""Clocks, percentiles and memory for the benchmarks. Knows nothing of what is measured."""

import functools
import os
import platform
import resource
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

_LIBRARIES = ("citewell", "faiss-cpu", "tantivy", "onnxruntime", "tokenizers", "numpy", "llama-index-core")


def milliseconds(call: Callable[[Any], object], arguments: Iterable[Any]) -> list[float]:
    """Return how long ``call`` took for each of the arguments."""
    taken = []
    for argument in arguments:
        begun = time.perf_counter()
        call(argument)
        taken.append((time.perf_counter() - begun) * 1e3)
    return taken


def spread(taken: Sequence[float]) -> dict[str, float]:
    """Return median and 95th percentile."""
    return {"p50": round(float(np.percentile(taken, 50)), 2), "p95": round(float(np.percentile(taken, 95)), 2)}


def peak_megabytes() -> float:
    """Return the most memory this process has held, mapped files included."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(most / (2**20 if platform.system() == "Darwin" else 2**10), 1)


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def machine() -> dict[str, Any]:
    """Describe what the figures were measured on."""
    versions = {name: version(name) for name in _LIBRARIES}
    return {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform(), **versions}


class Stopwatch:
    """Adds up the seconds spent inside functions, waiting for other threads included.

    Attributes:
        seconds: By the name the function was given.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    def watch(self, owner: Any, function: str, name: str) -> None:
        """Watch a function or method, called ``function`` in ``owner``, from now on."""
        real = getattr(owner, function)

        @functools.wraps(real)
        def watched(*arguments: Any, **options: Any) -> Any:
            begun = time.perf_counter()
            try:
                return real(*arguments, **options)
            finally:
                with self._lock:
                    self.seconds[name] += time.perf_counter() - begun

        setattr(owner, function, watched)
