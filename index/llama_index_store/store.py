"""The vector index as a vector store of llama-index. Embeds nothing, and knows no papers.

The nodes are rows of a SQLite database (:mod:`index.node_database`), which is the truth; the FAISS index
(:mod:`index.node_index`) is derived from it, and made anew where it is missing, damaged or too old. A node that changes
gets a new key and keys are never reused, so what a search finds is the node that was embedded.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode, Document
from llama_index.core.vector_stores.simple import DEFAULT_VECTOR_STORE, NAMESPACE_SEP
from llama_index.core.vector_stores.types import (
    DEFAULT_PERSIST_DIR,
    DEFAULT_PERSIST_FNAME,
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from ..embedding.encoder import Vectors, unit
from ..errors import IndexMismatchError, IndexNotFoundError, IndexStoreError
from ..lock import writer_lock
from ..progress import Progress
from ..vectors import VectorIndex
from . import node_database as rows
from .node_database import NODES_NAME, NodeDatabase, NodeRow
from .node_index import NodeIndex


class CitewellVectorStore(BasePydanticVectorStore):
    """A vector store of llama-index over FAISS: exact, filtered inside the search, and safe to change.

    Similarities are cosines, in [-1, 1], higher is closer: vectors are scaled to unit length and stored in half
    precision, which moves a cosine by less than 0.001. A vector of zeros has the similarity 0 to everything. Of equal
    similarities the node that was added earlier comes first.

    A store in a folder may be used by several processes: any number read while one writes, and writers wait for each
    other. Every change is one transaction. An object may be used from several threads.

    Args:
        path: Folder of the store; it is made if it is not there. None: in memory only.
        dimension: Length of the vectors. None: that of the store, or else of the first node.

    Attributes:
        path: The folder; None for a store in memory.
        dimension: Length of the vectors; None before the first.

    Raises:
        IndexMismatchError: If the store has vectors of another length, or was made by another version.
        IndexCorruptError: If the database cannot be read.
        IndexStoreError: If ``path`` is something else, or cannot be read or made.

    Example:
        >>> from llama_index.core.schema import TextNode
        >>> from llama_index.core.vector_stores import VectorStoreQuery
        >>> store = CitewellVectorStore()
        >>> store.add([TextNode(id_="a", text="A.", embedding=[3, 0]), TextNode(id_="b", text="B.", embedding=[1, 1])])
        ['a', 'b']
        >>> store.query(VectorStoreQuery(query_embedding=[1, 0], similarity_top_k=1)).ids
        ['a']
    """

    # There is no __len__: llama-index asks a store whether it is true, and an empty one must be.

    stores_text: bool = True
    is_embedding_query: bool = True
    path: str | None = None
    dimension: int | None = None

    _nodes: NodeDatabase = PrivateAttr()
    _index: NodeIndex = PrivateAttr()
    _writing: Any = PrivateAttr(default_factory=threading.RLock)  # threads that write take turns

    def __init__(self, path: str | PathLike[str] | None = None, dimension: int | None = None, **kwargs: Any) -> None:
        if dimension is not None and dimension < 1:
            raise ValueError(f"dimension is {dimension}; it must be at least 1")
        super().__init__(path=None if path is None else fspath(path), dimension=dimension, **kwargs)
        self._open(NodeDatabase(None if path is None else Path(path)), dimension)

    def _open(self, nodes: NodeDatabase, dimension: int | None) -> None:
        self._nodes, self._index = nodes, NodeIndex(nodes)
        with self._index.lock, nodes.reading() as db:
            self._catch_up(db)
        if dimension is not None:
            self._check_dimension(dimension)
            if self.dimension is None:
                with self._changing() as db:
                    rows.set_dimension(db, dimension)
        if nodes.folder is not None and self._index.due:
            with suppress(IndexStoreError), writer_lock(nodes.folder):  # else another process does it, or nobody can
                self._index.save()

    @classmethod
    def class_name(cls) -> str:
        """Return the name that llama-index serialises it under."""
        return "CitewellVectorStore"

    @property
    def client(self) -> VectorIndex | None:
        """The FAISS part; None before the first node."""
        return self._index.vectors

    # -- changing -------------------------------------------------------------------------------------------------

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Add nodes, all or none; a node takes the place of the one with its id.

        Args:
            nodes: Nodes with embeddings of one length. Of several with one id the last counts.
            kwargs: Ignored.

        Returns:
            Their ids, in the order given.

        Raises:
            ValueError: If a node has no embedding, or one that is not a list of finite numbers.
            IndexMismatchError: If the store has vectors of another length.
            IndexLockedError: If another process writes for long.
            IndexStoreError: If the folder cannot be written.
        """
        if not nodes:
            return []
        vectors = _unit_rows([node.embedding for node in nodes], [f"node {node.node_id!r}" for node in nodes])
        halves = vectors.astype(np.float16)
        new = [_row(node, vector.tobytes()) for node, vector in zip(nodes, halves, strict=True)]
        with self._changing() as db:
            self._check_dimension(vectors.shape[1])
            if self.dimension is None:
                rows.set_dimension(db, vectors.shape[1])
            for row in {row.node_id: row for row in new}.values():
                rows.put(db, row)
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete every node of a document.

        Args:
            ref_doc_id: The document's id; it is no error if there is none.
            delete_kwargs: Ignored.
        """
        with self._changing() as db:
            rows.remove(db, rows.keys_by_document(db, [ref_doc_id]))

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **delete_kwargs: Any
    ) -> None:
        """Delete the nodes that have one of the ids and pass the filters.

        Args:
            node_ids: Ids; those that are not there are passed over. None: any.
            filters: Metadata filters. None: all pass.
            delete_kwargs: Ignored.

        Raises:
            ValueError: If neither is given; :meth:`clear` deletes everything.
        """
        if node_ids is None and (filters is None or not filters.filters):
            raise ValueError("name node ids or filters; clear() deletes all nodes")
        with self._changing() as db:
            rows.remove(db, self._index.selected(db, node_ids, filters))

    def clear(self) -> None:
        """Delete all nodes; the next one decides the dimension anew."""
        with self._changing() as db:
            rows.remove_all(db)
            if self._nodes.folder:
                VectorIndex.discard(self._nodes.folder)

    # -- reading --------------------------------------------------------------------------------------------------

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """Return the nodes that have one of the ids and pass the filters.

        Args:
            node_ids: Ids; those that are not there are passed over. None: any.
            filters: Metadata filters. None: all pass.

        Returns:
            The nodes, without embeddings, in the order of ``node_ids``, or else in which they were added.
        """
        with self._index.lock, self._nodes.reading() as db:
            self._catch_up(db)
            return [node for _, node in _read_nodes(db, self._index.selected(db, node_ids, filters))]

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Return the nearest nodes of those that may be found.

        Args:
            query: What is looked for. ``filters`` are applied inside the search, so ``similarity_top_k`` nodes are
                found if as many pass; so are ``doc_ids`` and ``node_ids``. An empty list of ``node_ids`` is none,
                because llama-index's ``as_retriever`` gives a store that holds the text only the ids of the image
                and index nodes. (So with such nodes in the index it finds these alone, whatever the store; a
                ``VectorIndexRetriever`` made directly finds all.)
            kwargs: Ignored.

        Returns:
            Nodes without embeddings, their ids and their cosines, nearest first.

        Raises:
            ValueError: If the mode is not the default one, there is no embedding, or a filter makes no sense.
            IndexMismatchError: If the embedding has another length than those of the store.
        """
        if query.mode != VectorStoreQueryMode.DEFAULT:
            raise ValueError(
                f"the query mode {query.mode.value!r} is not supported; "
                f"supported is {VectorStoreQueryMode.DEFAULT.value!r}"
            )
        if query.query_embedding is None:
            raise ValueError("the query has no embedding")
        if query.similarity_top_k < 1:
            raise ValueError(f"similarity_top_k is {query.similarity_top_k}; it must be at least 1")
        vector = _unit_rows([query.query_embedding], ["the query"])[0]
        with self._index.lock, self._nodes.reading() as db:
            self._catch_up(db)
            self._check_dimension(len(vector))
            if self._index.vectors is None or not len(self._index.vectors):
                return VectorStoreQueryResult(nodes=[], similarities=[], ids=[])
            keys, scores = self._index.vectors.search(vector, query.similarity_top_k, self._index.allowed(db, query))
            found = _read_nodes(db, keys.tolist())
        return VectorStoreQueryResult(
            nodes=[node for _, node in found],
            similarities=np.clip(scores, -1, 1).tolist(),  # of half precision a unit vector can be a little longer
            ids=[node_id for node_id, _ in found],
        )

    # -- files ----------------------------------------------------------------------------------------------------

    def persist(
        self, persist_path: str = f"{DEFAULT_PERSIST_DIR}/{DEFAULT_PERSIST_FNAME}", fs: Any | None = None
    ) -> None:
        """Copy the store to another folder, in one step; in its own, bring the FAISS file up to date.

        What was added to a store in a folder is safe without this, and a graph is brought up to date by
        :meth:`build_graph`.

        Args:
            persist_path: The folder; what was stored there before is replaced.
            fs: An fsspec file system. Elsewhere than on this machine the copy is written by the file system's own
                means, and opened in memory.

        Raises:
            IndexStoreError: If it cannot be written. What was stored before is unchanged.
        """
        if not _is_local(fs):
            assert fs is not None
            with self._index.lock:
                data = self._nodes.dump()
            fs.makedirs(persist_path, exist_ok=True)
            fs.pipe_file(f"{persist_path}/{NODES_NAME}", data)
            return
        folder = self._nodes.folder
        target = Path(persist_path)
        if folder is not None and target.exists() and folder.samefile(target):
            with self._writing, self._nodes.locked():
                self._index.save()
            return
        with self._index.lock:
            self._nodes.copy_to(target)
        type(self)(target).persist(persist_path)

    @classmethod
    def from_persist_path(cls, persist_path: str, fs: Any | None = None) -> "CitewellVectorStore":
        """Open a store that was persisted.

        Raises:
            IndexNotFoundError: If there is none.
        """
        if not _is_local(fs):
            assert fs is not None
            name = f"{persist_path}/{NODES_NAME}"
            if not fs.exists(name):
                raise _not_found(persist_path)
            store = cls()
            store._open(NodeDatabase.from_dump(fs.cat_file(name)), None)
            return store
        if not (Path(persist_path) / NODES_NAME).exists():
            raise _not_found(persist_path)
        return cls(persist_path)

    @classmethod
    def from_persist_dir(
        cls, persist_dir: str = DEFAULT_PERSIST_DIR, namespace: str = DEFAULT_VECTOR_STORE, fs: Any | None = None
    ) -> "CitewellVectorStore":
        """Open the store that ``StorageContext.persist`` has put into a folder.

        Raises:
            IndexNotFoundError: If there is none.
        """
        return cls.from_persist_path(f"{persist_dir}/{namespace}{NAMESPACE_SEP}{DEFAULT_PERSIST_FNAME}", fs)

    def build_graph(self, progress: Progress | None = None) -> bool:
        """Make or renew the graph by which a search of a large store visits only some of its vectors.

        It takes minutes, in which searches go on. With it they find 99 % of what they would find without, and still
        score exactly; other processes use it when they next open the store.

        Args:
            progress: Told while it is made.

        Returns:
            Whether there is one: not in memory, and not for a store that is small enough for exhaustive searches.
        """
        if self._nodes.folder is None:
            return False
        with self._writing, self._nodes.locked():
            self._index.save(graph=True, progress=progress)
        return self._index.vectors is not None and self._index.vectors.graph is not None

    def __reduce__(self) -> tuple[type["CitewellVectorStore"], tuple[str]]:
        if self.path is None:
            raise TypeError("a vector store in memory cannot be pickled; persist() it and open it where it is needed")
        return type(self), (str(Path(self.path).absolute()),)

    # -- inside ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """A connection inside one write transaction; what is in memory is up to date before and after."""
        with self._writing, self._nodes.locked():
            with self._index.lock:
                with self._nodes.writing() as db:
                    self._catch_up(db)
                    self._index.discard_distrusted()
                    yield db
                with self._nodes.reading() as db:
                    self._catch_up(db)
            if self._index.due:
                with suppress(IndexStoreError):  # the nodes are stored; the file is written another time
                    self._index.save()

    def _catch_up(self, db: sqlite3.Connection) -> None:
        self._index.catch_up(db)
        self.dimension = self._index.dimension

    def _check_dimension(self, length: int) -> None:
        if self.dimension is not None and self.dimension != length:
            raise IndexMismatchError(
                f"{self.path or 'The vector store in memory'} has vectors of {self.dimension} numbers, not {length}. "
                "Use the embedding model that it was made with, or clear() it and add the nodes again."
            )


def _row(node: BaseNode, vector: bytes) -> NodeRow:
    metadata = node_to_metadata_dict(node, flat_metadata=False)
    # Half a surrogate pair, as broken PDFs give them, cannot be stored, but its escape in JSON can.
    content = metadata.pop("_node_content").encode("utf-8", "backslashreplace").decode("utf-8")
    return NodeRow(node.node_id, node.ref_doc_id, json.dumps(metadata), content, vector)


def _read_nodes(db: sqlite3.Connection, keys: list[int]) -> list[tuple[str, BaseNode]]:
    """Return nodes with their ids, in the order of ``keys``."""
    try:
        return [(node_id, _node(metadata, content)) for node_id, metadata, content in rows.read_contents(db, keys)]
    except (ValueError, TypeError) as exc:
        raise sqlite3.DatabaseError(f"a stored node cannot be read: {exc}") from exc


def _node(metadata: dict[str, Any], content: str) -> BaseNode:
    if metadata.get("_node_type") == Document.class_name():  # llama-index's function makes a plain text of it
        return Document.from_json(content)
    return metadata_dict_to_node({**metadata, "_node_content": content})


def _unit_rows(embeddings: Sequence[Sequence[float] | None], names: Sequence[str]) -> Vectors:
    """Return embeddings scaled to unit length, float32, shape (embeddings, dimension).

    Raises:
        ValueError: If one is missing, not of finite numbers, or not as long as the others.
    """
    for name, embedding in zip(names, embeddings, strict=True):
        if embedding is None or not len(embedding):
            raise ValueError(f"{name} has no embedding")
    try:
        matrix = np.array(embeddings, dtype=np.float64)
    except (TypeError, ValueError) as exc:
        raise ValueError("the embeddings are not lists of numbers, all of one length") from exc
    if matrix.ndim != 2:
        raise ValueError("an embedding is not a list of numbers")
    for name, row in zip(names, matrix, strict=True):
        if not np.isfinite(row).all():
            raise ValueError(f"the embedding of {name} has a number that is not finite")
    largest = np.abs(matrix).max(axis=1, keepdims=True)  # so that no square overflows
    return unit((matrix / np.where(largest > 0, largest, 1)).astype(np.float32))


def _is_local(fs: Any | None) -> bool:
    return fs is None or "file" in np.atleast_1d(fs.protocol)


def _not_found(path: str) -> IndexNotFoundError:
    return IndexNotFoundError(f"There is no vector store at {path}. Name another path, or persist one there.")
