"""The search structures of a vector store, kept in step with its database. Reads no node and writes none.

These are the FAISS index and the metadata fields that filters have asked for. They catch up by what the database says
was added and removed; where that does not lead from the one to the other, they are made anew.
"""

import sqlite3
import threading

import numpy as np
from llama_index.core.vector_stores.types import MetadataFilters, VectorStoreQuery

from ..embedding.encoder import Vectors
from ..errors import IndexStoreError
from ..progress import Progress, silent
from ..vectors import Mask, VectorIndex
from . import node_database as rows
from .node_database import NodeDatabase, State
from .node_filters import Column, Columns, passing

_SAVE_FROM = 1_000  # changed nodes; fewer are read from SQLite in a moment when the store is opened
_GRAPH_PROBES = 300


class NodeIndex:
    """What is derived from the nodes of a database.

    Args:
        nodes: The database.

    Attributes:
        lock: Held while any of it is used or changed.
        vectors: The FAISS index, of which a paper is a node; None before the first node.
        dimension: Length of the vectors; None if it is not decided.
    """

    def __init__(self, nodes: NodeDatabase) -> None:
        self._nodes = nodes
        self.lock = threading.RLock()
        self.vectors: VectorIndex | None = None
        self.dimension: int | None = None
        self._columns = Columns()
        self._distrusted = False

    def catch_up(self, db: sqlite3.Connection) -> None:
        """Bring what is in memory to the generation that ``db`` sees. The lock is held."""
        state = rows.read_state(db)
        self.dimension = state.dimension
        if state.dimension is None:
            self.vectors = None
            self._columns.clear()
            return
        vectors = self.vectors
        if vectors is not None and vectors.generation == state.generation and vectors.dimension == state.dimension:
            return
        if vectors is None or not _leads_to(vectors, state) or vectors.gone > max(2 * _SAVE_FROM, len(vectors)):
            vectors = self.vectors = self._loaded(state, state.dimension)
            self._columns.clear()
        removed = rows.removed_since(db, vectors.generation)
        vectors.remove(removed)
        self._columns.remove(removed.tolist())
        new = rows.iter_nodes(db, vectors.last_key, state.dimension, metadata=len(self._columns) > 0)
        for keys, halves, metadata in new:
            for key, fields in zip(keys.tolist(), metadata, strict=False):  # there is none if nothing asks for it
                self._columns.add(key, fields)
            vectors.add(keys, keys, halves)
        vectors.generation = state.generation

    def _loaded(self, state: State, dimension: int) -> VectorIndex:
        """Return what the file holds, or an empty index if that is of no use."""
        folder = self._nodes.folder
        loaded = None if folder is None else VectorIndex.load(folder, dimension)
        if loaded is not None and _leads_to(loaded, state):
            return loaded
        self._distrusted = loaded is not None
        return VectorIndex(dimension)

    def discard_distrusted(self) -> None:
        """Remove a file that was of no use. The write lock is held, before anything is written.

        It may be ahead of a database that was restored from a backup, and would be believed when the database has
        been changed as often.
        """
        if self._distrusted and self._nodes.folder is not None:
            VectorIndex.discard(self._nodes.folder)
            self._distrusted = False

    @property
    def due(self) -> bool:
        """Whether enough has changed for the FAISS file to be written, or in memory for the log to be emptied."""
        vectors = self.vectors
        return vectors is not None and vectors.graph is None and vectors.stale and vectors.changed >= _SAVE_FROM

    def save(self, *, graph: bool = False, progress: Progress | None = None) -> None:
        """Write the FAISS file, and empty the log of what it knows. The write locks are held.

        Args:
            graph: Also make or renew the graph, if the index is large enough for one.
            progress: Told while a graph is made.
        """
        folder = self._nodes.folder
        with self.lock:
            with self._nodes.reading() as db:
                self.catch_up(db)
                vectors = self.vectors
                if vectors is None:
                    return
                graph = graph and vectors.wants_graph
                probes = _probes(db, vectors) if graph else None
            if folder is None:
                self._nodes.forget_removals(vectors.generation)
        if folder is None or not (graph or (vectors.changed and vectors.graph is None)):
            return  # a graph is not given up for a file that is up to date
        tell = progress or silent
        # Nobody changes the index meanwhile: only a writer would, and this is the one. So others go on searching.
        try:
            saved = vectors.saved(folder, probes, lambda done, total: tell(done, total, "Linking the vectors"))
        except (OSError, RuntimeError) as exc:
            raise IndexStoreError(
                f"The FAISS file of {folder} could not be saved: {exc}. The nodes are stored. "
                "Check the free disk space and that the folder can be written, then try again."
            ) from exc
        with self.lock:
            self.vectors = saved
        self._nodes.forget_removals(saved.generation)

    def selected(
        self, db: sqlite3.Connection, node_ids: list[str] | None, filters: MetadataFilters | None
    ) -> list[int]:
        """Return the keys of the nodes that have one of the ids and pass the filters."""
        if self.vectors is None:
            return []
        keys = self.vectors.keys().tolist() if node_ids is None else rows.keys_by_id(db, node_ids)
        if filters is None:
            return keys
        mask = self._passing(db, filters)
        return [key for key in keys if mask[key]]

    def allowed(self, db: sqlite3.Connection, query: VectorStoreQuery) -> Mask | None:
        """Return which nodes a query may find, by their keys; None for all."""
        masks = []
        if query.node_ids:
            masks.append(self._mask(rows.keys_by_id(db, query.node_ids)))
        if query.doc_ids is not None:
            masks.append(self._mask(rows.keys_by_document(db, query.doc_ids)))
        if query.filters is not None:
            masks.append(self._passing(db, query.filters))
        return np.all(masks, axis=0) if masks else None

    def _passing(self, db: sqlite3.Connection, filters: MetadataFilters) -> Mask:
        def column(field: str) -> Column:
            return self._columns.get(field, lambda name: rows.read_column(db, name))

        return passing(filters, column, self._size)

    def _mask(self, keys: list[int]) -> Mask:
        mask = np.zeros(self._size, dtype=np.bool_)
        mask[keys] = True
        return mask

    @property
    def _size(self) -> int:
        return 0 if self.vectors is None else self.vectors.last_key + 1


def _leads_to(vectors: VectorIndex, state: State) -> bool:
    """Whether the log of removals leads from what an index reflects to the state of the database."""
    return vectors.dimension == state.dimension and state.logged_since <= vectors.generation <= state.generation


def _probes(db: sqlite3.Connection, vectors: VectorIndex) -> Vectors:
    """Return some of the vectors to measure a graph with, float32."""
    keys = np.random.default_rng(0).choice(vectors.keys(), _GRAPH_PROBES)
    return rows.read_vectors(db, keys.tolist(), vectors.dimension).astype(np.float32)
