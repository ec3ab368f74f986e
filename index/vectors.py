"""Nearest-neighbour search over passage vectors with FAISS, derived from SQLite. Holds no text and reads no filters.

An index has two parts. The *base* is a file that never changes: it is memory-mapped, checked by its digest, and
written anew only when a tenth of it has become stale. The *tail* holds what was added since, in memory. What was
removed is masked in both. So one paper more costs one row, however large the index is, and a process that opens the
file reads from SQLite only what has changed since it was written.

Both parts hold the vectors as SQLite does, in half precision, and search them exhaustively, which is exact. From
:data:`GRAPH_FROM` vectors on the base also has an HNSW graph ("Efficient and robust approximate nearest neighbor search
using Hierarchical Navigable Small World graphs", Malkov and Yashunin) over the same vectors: a search then visits some
thousands of them and still scores exactly. Searches with a filter stay exhaustive.

Keys are SQLite's: ascending in the order of insertion, never reused, and a stored vector never changes.
"""

import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import faiss as typed_faiss
import numpy as np
import numpy.typing as npt

from .digest import file_sha256
from .embedding.encoder import Vectors
from .rows import Halves, Keys

GRAPH_FROM = 300_000  # vectors; below, an exhaustive search takes 8 to 20 ms on one core, which is fast enough
GRAPH_LINKS = 32  # HNSW's M
GRAPH_BUILD_EFFORT = 200  # HNSW's efConstruction; over 118,618 real vectors 200 finds 0.994 where 100 finds 0.989
GRAPH_TARGET_RECALL = 0.99  # of the ten nearest, over the sample by which the search effort is chosen
GRAPH_EFFORTS = (64, 96, 128, 192, 256, 384, 512, 768, 1024)  # HNSW's efSearch
STALE_SHARE = 0.1  # of the base; more, and it is written anew

faiss: Any = typed_faiss  # its annotations leave out what SWIG adds
_FORMAT = 2
_STAMP = "vectors.json"
_PER_CALL = 20_000  # vectors that are added to a graph between two looks at the clock
_DEAD = -1  # in place of the paper, for a vector of the base that was removed before it was written

Mask = npt.NDArray[np.bool_]
GraphProgress = Callable[[int, int], None]
"""Called with vectors linked so far and in all."""


@dataclass(frozen=True, slots=True)
class Graph:
    """What is known of the graph of a base.

    Attributes:
        effort: HNSW's efSearch, chosen so that the recall reaches :data:`GRAPH_TARGET_RECALL`.
        recall: Share of the ten nearest vectors that a search finds, 0 to 1.
        sample: Searches that was measured over.
    """

    effort: int
    recall: float
    sample: int


class _Part:
    """Vectors in the order of their keys, and which of them are gone.

    Args:
        index: FAISS index over half-precision vectors.
        keys: int64, ascending, shape (len(index),).
        papers: The paper of each vector, int64; -1 for a vector that is gone.
    """

    def __init__(self, index: Any, keys: Keys, papers: Keys) -> None:
        self.index, self.keys, self.papers = index, keys, papers
        self.alive: Mask = papers != _DEAD
        self.gone = int(len(papers) - np.count_nonzero(self.alive))

    def __len__(self) -> int:
        return len(self.keys)

    def remove(self, keys: Keys) -> None:
        at = np.searchsorted(self.keys, keys)
        known = at < len(self.keys)
        at, keys = at[known], keys[known]
        at = at[(self.keys[at] == keys) & self.alive[at]]
        if len(at):
            self.papers = self.papers.copy()  # of a file it is read-only
            self.papers[at], self.alive[at] = _DEAD, False
            self.gone += len(at)

    def allowed(self, papers: Mask | None) -> Mask | None:
        """Return which vectors may be found; None for all."""
        if papers is None:
            return self.alive if self.gone else None
        known = np.minimum(self.papers, len(papers) - 1)  # a paper newer than the filter does not pass it
        return self.alive & papers[known] & (self.papers < len(papers))

    def halves(self, start: int = 0, stop: int | None = None) -> Halves:
        """Return stored vectors as a view, float16, shape (stop - start, dimension)."""
        flat = _flat(self.index)
        codes = faiss.rev_swig_ptr(flat.codes.data(), len(self) * flat.code_size) if len(self) else np.empty(0, "u1")
        return codes.reshape(len(self), flat.code_size)[start:stop].view(np.float16)


class VectorIndex:
    """Search over unit vectors by inner product, their cosine.

    Args:
        dimension: Length of each vector.

    Attributes:
        dimension: Length of each vector.
        generation: The generation of SQLite that this reflects; -1 for none.
        saved_generation: That of the file; -1 if there is none.
        graph: What is known of the graph; None if searches are exhaustive.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self.generation = self.saved_generation = -1
        self.graph: Graph | None = None
        nothing = np.empty(0, dtype=np.int64)
        self._base = _Part(_empty(dimension), nothing, nothing)
        self._tail = _Part(_empty(dimension), nothing, nothing)
        self._base_path: Path | None = None
        self._saved_gone = 0

    def __len__(self) -> int:
        return sum(len(part) - part.gone for part in (self._base, self._tail))

    @property
    def last_key(self) -> int:
        """The greatest key it holds; -1 for none."""
        return int(max((part.keys[-1] for part in (self._base, self._tail) if len(part)), default=-1))

    @property
    def gone(self) -> int:
        """Vectors it has removed but still holds."""
        return self._base.gone + self._tail.gone

    @property
    def changed(self) -> int:
        """Vectors added or removed since the file was written."""
        return len(self._tail) + self._base.gone - self._saved_gone

    @property
    def stale(self) -> bool:
        """Whether so much has changed since the file was written that it is worth writing anew."""
        return self.changed > STALE_SHARE * len(self._base)

    @property
    def wants_graph(self) -> bool:
        """Whether it is large enough for a graph and has none, or a graph that misses much of it."""
        return len(self) >= GRAPH_FROM and (self.graph is None or len(self._tail) > STALE_SHARE * len(self._base))

    def keys(self) -> Keys:
        """Return the keys, int64, ascending, shape (len(self),)."""
        return np.concatenate([part.keys[part.alive] for part in (self._base, self._tail)])

    def chunks(self, rows: int = 50_000) -> Iterator[tuple[Keys, Keys, Halves]]:
        """Yield keys, papers and vectors in order of key, some at a time."""
        for part in (self._base, self._tail):
            for start in range(0, len(part), rows):
                alive = part.alive[start : start + rows]
                some = slice(start, start + rows)
                yield part.keys[some][alive], part.papers[some][alive], part.halves(start, start + rows)[alive]

    def add(self, keys: Keys, papers: Keys, vectors: Halves) -> None:
        """Add vectors.

        Args:
            keys: int64, ascending, all greater than :attr:`last_key`.
            papers: The paper of each, int64.
            vectors: Unit vectors, float16, shape (len(keys), dimension).

        Raises:
            ValueError: If a key is not greater than those before it.
        """
        if not len(keys):
            return
        if keys[0] <= self.last_key or np.any(np.diff(keys) <= 0):
            raise ValueError("keys must ascend; a key is never used twice")
        tail = self._tail
        if tail.index.ntotal != len(tail):  # an interrupt (Ctrl-C) came between the two steps below
            kept, index = tail.halves().astype(np.float32), _empty(self.dimension)
            index.add(kept)
            tail.index = index
        tail.index.add(vectors.astype(np.float32))
        self._tail = _Part(tail.index, np.concatenate([tail.keys, keys]), np.concatenate([tail.papers, papers]))

    def remove(self, keys: Keys) -> None:
        """Remove vectors by key, int64, ascending; keys that are not there are passed over."""
        self._base.remove(keys)
        self._tail.remove(keys)

    def nearest_papers(self, vector: Vectors, limit: int, papers: Mask | None = None) -> list[int]:
        """Return the papers whose best passage is nearest, best first.

        Args:
            vector: Unit vector, float32, shape (dimension,).
            limit: How many papers at most, at least 1.
            papers: Which papers may be found, by their keys, bool, shape (greatest key + 1,); None for all.
        """
        wanted = 2 * limit
        while True:
            owners, _ = self.search(vector, wanted, papers)
            found = list(dict.fromkeys(owners.tolist()))
            if len(found) >= limit or len(owners) < wanted:
                return found[:limit]
            wanted *= 2

    def search(
        self, vector: Vectors, limit: int, papers: Mask | None = None, *, exhaustive: bool = False
    ) -> tuple[Keys, Vectors]:
        """Return the papers of the nearest vectors and their cosines, nearest first; a paper may come twice.

        Args:
            vector: Unit vector, float32, shape (dimension,).
            limit: How many at most, at least 1.
            papers: Which papers may be found, by their keys; None for all.
            exhaustive: Compare every vector, also where there is a graph.
        """
        # A second OpenMP thread makes a single query slower (9 -> 13 ms over 100,000 vectors), and mixing FAISS's
        # OpenMP with another library's is unsafe on macOS. The number is kept per thread, so it is set in the one
        # that searches.
        faiss.omp_set_num_threads(1)
        found = [
            self._search_part(part, vector, limit, papers, exhaustive or part is self._tail)
            for part in (self._base, self._tail)
        ]
        owners, scores, keys = (np.concatenate(values) for values in zip(*found, strict=True))
        best = np.lexsort((keys, -scores))[:limit]  # equal scores: the earlier key first, in any arrangement of parts
        return owners[best], scores[best]

    def _search_part(
        self, part: _Part, vector: Vectors, limit: int, papers: Mask | None, exhaustive: bool
    ) -> tuple[Keys, Vectors, Keys]:
        allowed = part.allowed(papers)
        count = len(part) if allowed is None else int(np.count_nonzero(allowed))
        limit = min(limit, count)
        if limit == 0:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int64)
        selector = None
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")  # FAISS reads it while it searches: keep the name alive
            selector = faiss.IDSelectorBitmap(bits)
        graph = self.graph
        # With a filter, too: a graph is walked towards the question, and gives up where nothing near it passes.
        if exhaustive or graph is None or papers is not None:
            parameters = None if selector is None else faiss.SearchParameters(sel=selector)
            scores, rows = _flat(part.index).search(vector[None], limit, params=parameters)
        else:
            effort = max(graph.effort, limit)
            parameters = faiss.SearchParametersHNSW(efSearch=effort, sel=selector)
            scores, rows = part.index.search(vector[None], limit, params=parameters)
        rows, scores = rows[0][rows[0] >= 0], scores[0][rows[0] >= 0]  # filled up with -1 when fewer are found
        return part.papers[rows], scores, part.keys[rows]

    # -- the file ---------------------------------------------------------------------------------------------

    def saved(
        self, folder: Path, probes: Vectors | None = None, progress: GraphProgress | None = None
    ) -> "VectorIndex":
        """Write base and tail as one new base, and return an index over that. This one stays as it is.

        The files get new names and the stamp that names them is replaced at once, so that a process that dies, or one
        that reads meanwhile, finds either the old or the new ones.

        Args:
            folder: Where the files are.
            probes: Vectors of questions to measure the graph with, float32, shape (some hundred, dimension). None: make
                no graph.
            progress: Told while a graph is made, which takes minutes.

        Raises:
            OSError: If the disk is full or the folder cannot be written; the old files stay.
            RuntimeError: As FAISS reports it.
        """
        name = f"vectors-{self.generation:x}-{secrets.token_hex(4)}"  # of its own: a mapped file is never written to
        names = {kind: f"{name}.{kind}" for kind in ("faiss", "npy")}
        index, keys, papers, graph = self._merged(probes, progress)
        try:
            faiss.write_index(index, str(folder / names["faiss"]))
            with (folder / names["npy"]).open("wb") as file:
                np.save(file, np.stack([keys, papers]))
            digests = {name: file_sha256(folder / name) for name in names.values()}
            stamp = {
                "format": _FORMAT, "generation": self.generation, "files": digests, "graph": graph and asdict(graph),
            }  # fmt: skip
            draft = folder / f"{_STAMP}.new"
            draft.write_text(json.dumps(stamp))
            draft.replace(folder / _STAMP)
        except BaseException:
            for name in names.values():
                (folder / name).unlink(missing_ok=True)
            raise
        for path in folder.glob("vectors-*"):
            if path.name not in digests:
                with suppress(OSError):  # elsewhere a file that another process has mapped cannot be removed
                    path.unlink()
        written = self.load(folder, self.dimension)
        if written is None:
            raise OSError("what was written cannot be read back")
        return written

    @staticmethod
    def saved_as(folder: Path) -> int:
        """Return the generation of the file, unchecked; -1 if there is none."""
        try:
            return int(json.loads((folder / _STAMP).read_text())["generation"])
        except (OSError, ValueError, KeyError, TypeError):
            return -1

    @staticmethod
    def discard(folder: Path) -> None:
        """Remove what names the files, so that they are not loaded again."""
        (folder / _STAMP).unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: Path, dimension: int) -> "VectorIndex | None":
        """Map what :meth:`saved` wrote; None if anything is missing, damaged or of another shape."""
        try:
            facts = json.loads((folder / _STAMP).read_text())
            if facts["format"] != _FORMAT:
                return None
            if any(file_sha256(folder / name) != digest for name, digest in facts["files"].items()):
                return None
            paths = {Path(name).suffix: folder / name for name in facts["files"]}
            loaded = cls(dimension)
            index = faiss.read_index(str(paths[".faiss"]), faiss.IO_FLAG_MMAP_IFC)
            keys, papers = np.load(paths[".npy"], allow_pickle=False)
            loaded.generation = loaded.saved_generation = int(facts["generation"])
            loaded.graph = Graph(**facts["graph"]) if facts["graph"] else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError):  # the last is FAISS's
            return None
        if index.d != dimension or index.ntotal != len(keys):
            return None
        loaded._base, loaded._base_path = _Part(index, keys, papers), paths[".faiss"]
        loaded._saved_gone = loaded._base.gone
        return loaded

    def _merged(self, probes: Vectors | None, progress: GraphProgress | None) -> tuple[Any, Keys, Keys, Graph | None]:
        """Return one index over base and tail, its keys and papers, and its graph."""
        if probes is None or len(self) < GRAPH_FROM:
            index = _empty(self.dimension)
            keys, papers = [], []
            for some_keys, some_papers, vectors in self.chunks():
                index.add(vectors.astype(np.float32))
                keys.append(some_keys)
                papers.append(some_papers)
            nothing = np.empty(0, dtype=np.int64)
            return index, np.concatenate([nothing, *keys]), np.concatenate([nothing, *papers]), None
        index, keys_of, papers_of = self._grown(progress)
        return index, keys_of, papers_of, _measured(index, papers_of != _DEAD, probes)

    def _grown(self, progress: GraphProgress | None) -> tuple[Any, Keys, Keys]:
        """Return a graph over base and tail: the base's own, grown, unless too much of it is gone."""
        index = faiss.IndexHNSWSQ(
            self.dimension, faiss.ScalarQuantizer.QT_fp16, GRAPH_LINKS, faiss.METRIC_INNER_PRODUCT
        )
        parts = [self._base, self._tail]
        path, graph = self._base_path, self.graph
        there = path is not None and path.exists()  # another process may have written it anew
        if there and graph is not None and self._base.gone <= STALE_SHARE * len(self._base):
            index = faiss.read_index(str(path))  # into memory: a mapped one cannot grow
            parts = [self._tail]
        index.hnsw.efConstruction = GRAPH_BUILD_EFFORT
        faiss.omp_set_num_threads(os.cpu_count() or 1)
        total = index.ntotal + sum(len(part) - part.gone for part in parts)
        kept = [(self._base.keys, self._base.papers)] if len(parts) == 1 else []
        for part in parts:
            for start in range(0, len(part), _PER_CALL):
                some = slice(start, start + _PER_CALL)
                alive = part.alive[some]
                index.add(part.halves(start, start + _PER_CALL)[alive].astype(np.float32))
                kept.append((part.keys[some][alive], part.papers[some][alive]))
                if progress:
                    progress(index.ntotal, total)
        keys, papers = (np.concatenate(values) for values in zip(*kept, strict=True))
        return index, keys, papers


def _measured(index: Any, alive: Mask, probes: Vectors) -> Graph:
    """Choose the effort of searches by their recall over ``probes``, and return both."""
    bits = np.packbits(alive, bitorder="little")
    exact = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))
    _, nearest = _flat(index).search(probes, 10, params=exact)
    recall, effort = 0.0, GRAPH_EFFORTS[0]
    for effort in GRAPH_EFFORTS:
        parameters = faiss.SearchParametersHNSW(efSearch=effort, sel=faiss.IDSelectorBitmap(bits))
        _, found = index.search(probes, 10, params=parameters)
        recall = sum(len(np.intersect1d(a, b)) for a, b in zip(nearest, found, strict=True)) / nearest.size
        if recall >= GRAPH_TARGET_RECALL:
            break
    return Graph(effort, round(recall, 4), len(probes))


def _empty(dimension: int) -> Any:
    # Inner product, not L2: of unit vectors it is the cosine, and higher is better everywhere.
    return faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)


def _flat(index: Any) -> Any:
    """Return the exhaustive index over the same vectors: itself, or what a graph is laid over."""
    return faiss.downcast_index(index.storage) if hasattr(index, "storage") else index
