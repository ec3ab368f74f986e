"""Run an exported graph on the CPU, with every core. Writes no graph; see :mod:`index.embedding.onnx_graph`."""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .encoder import Vectors
from .token_model import TokenMeans, padded, passes

# Measured on abstracts: more texts in a pass are no faster on a CPU, and padding is pure waste.
PASS_TOKENS = 512
PASS_PADDING = 0.02


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class OnnxModel:
    """A :class:`~index.embedding.token_model.TokenModel` over ONNX Runtime.

    A few texts go through one after the other, all cores at work on each, for the shortest wait. Many texts go through
    side by side, one core each: one pass of 200 tokens is too small to divide among many cores.

    Args:
        graph: A graph of :func:`index.embedding.onnx_graph.export_once`.
        threads: Cores to use; 0 takes all.
    """

    def __init__(self, graph: Path, threads: int = 0) -> None:
        self._graph = graph
        self._threads = threads or usable_cores()
        self._session = self._open(threads)
        self._session_lock = threading.Lock()  # one pass at a time: it already uses every core
        self._bulk: tuple[Any, ThreadPoolExecutor] | None = None
        self._bulk_lock = threading.Lock()

    def means(self, texts: Sequence[TokenMeans]) -> list[Vectors]:
        """Return ``weights @ states`` of each text, float32, shape (means, dimension), in the order given."""
        groups = passes(texts, PASS_TOKENS, PASS_PADDING)
        found: dict[int, Vectors] = {}
        if self._threads > 1 and len(groups) >= 2 * self._threads:
            session, pool = self._bulk_session()
            results = pool.map(lambda group: _run(session, [texts[at] for at in group]), groups)
            for group, means in zip(groups, results, strict=True):
                found.update(zip(group, means, strict=True))
        else:
            for group in groups:
                with self._session_lock:
                    means = _run(self._session, [texts[at] for at in group])
                found.update(zip(group, means, strict=True))
        return [found[at] for at in range(len(texts))]

    def _bulk_session(self) -> tuple[Any, ThreadPoolExecutor]:
        """Return the session of one core per pass and its threads; they are made by the first bulk."""
        with self._bulk_lock:
            if self._bulk is None:
                self._bulk = self._open(1), ThreadPoolExecutor(self._threads, thread_name_prefix="citewell-embed")
            return self._bulk

    def _open(self, threads: int) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(str(self._graph), options, providers=["CPUExecutionProvider"])


def _run(session: Any, texts: Sequence[TokenMeans]) -> list[Vectors]:
    ids, mask, weights = padded(texts)
    (means,) = session.run(["means"], {"input_ids": ids, "attention_mask": mask, "weights": weights})
    return [means[at, : len(text.weights)] for at, text in enumerate(texts)]
