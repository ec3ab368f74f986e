"""The same collection in llama-index's own stores, for comparison. Needs ``pip install citewell[bench]``.

A ``VectorStoreIndex`` over ``FaissVectorStore`` and ``SimpleDocumentStore``, and a ``BM25Retriever``, all persisted and
read back as their documentation shows. Papers are read by our readers and split by llama-index's ``SentenceSplitter``;
what is stored are the passages and vectors that our index holds, so that both search the same.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import Document, QueryBundle, TextNode
from llama_index.retrievers.bm25 import BM25Retriever
from llama_index.vector_stores.faiss import FaissVectorStore

from index.embedding.encoder import Encoder
from index.paper import Paper
from index.readers import read_papers
from index.store import PaperStore

from .measuring import folder_bytes, milliseconds, peak_megabytes, spread

TOP_K = 50
QUESTIONS = 200


class _NoEmbedding(BaseEmbedding):
    """Stands where llama-index wants a model; every vector is given."""

    def _get_text_embedding(self, text: str) -> list[float]:
        raise AssertionError("nothing is to be embedded")

    def _get_query_embedding(self, query: str) -> list[float]:
        raise AssertionError("nothing is to be embedded")

    async def _aget_query_embedding(self, query: str) -> list[float]:
        raise AssertionError("nothing is to be embedded")


def build(folder: Path, store: PaperStore, data: Path) -> dict[str, Any]:
    """Read and split the papers, then fill and persist the stores from the passages of ``store``."""
    begun = time.perf_counter()
    papers = (paper for paper in read_papers(data) if isinstance(paper, Paper))
    documents = [Document(id_=paper.id, text=f"{paper.title}\n{paper.abstract}") for paper in papers]
    SentenceSplitter(chunk_size=256, chunk_overlap=32).get_nodes_from_documents(documents)
    splitting = time.perf_counter() - begun
    nodes = list(_nodes(store))
    folder.mkdir(parents=True)
    spaced = nodes[:: max(1, len(nodes) // QUESTIONS)][:QUESTIONS]
    titles = "".join(json.dumps(node.text.partition("\n")[0]) + "\n" for node in spaced)
    (folder / "titles.jsonl").write_text(titles)
    begun = time.perf_counter()
    vector_store = FaissVectorStore(faiss_index=faiss.IndexFlatIP(store.encoder.dimension))
    storage = StorageContext.from_defaults(vector_store=vector_store)
    index = VectorStoreIndex([], storage_context=storage, embed_model=_NoEmbedding())
    index.insert_nodes(nodes)
    storage.docstore.add_documents(nodes)
    vectors = time.perf_counter()
    bm25 = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=TOP_K)
    keywords = time.perf_counter()
    index.storage_context.persist(persist_dir=str(folder / "index"))
    bm25.persist(str(folder / "bm25"))
    saved = time.perf_counter()
    return {
        "passages": len(nodes),
        "seconds": round(splitting + saved - begun, 1),
        "stages_s": {
            "reading and splitting": round(splitting, 1),
            "vectors and texts": round(vectors - begun, 1),
            "keywords": round(keywords - vectors, 1),
            "saving": round(saved - keywords, 1),
        },
        "peak_mb": peak_megabytes(),
        "bytes": folder_bytes(folder),
        "bytes_per_passage": round(folder_bytes(folder) / len(nodes)),
    }


def query(folder: Path, titles: Sequence[str], encoder: Encoder) -> dict[str, Any]:
    """Read the stores back and search them."""
    begun = time.perf_counter()
    vector_store = FaissVectorStore.from_persist_dir(str(folder / "index"))
    storage = StorageContext.from_defaults(vector_store=vector_store, persist_dir=str(folder / "index"))
    index = load_index_from_storage(storage, embed_model=_NoEmbedding())
    bm25 = BM25Retriever.from_persist_dir(str(folder / "bm25"))
    opened = time.perf_counter()
    bm25.similarity_top_k = TOP_K
    dense = index.as_retriever(similarity_top_k=TOP_K)

    def by_meaning(query: QueryBundle) -> None:
        dense.retrieve(query)

    def fused(title: str) -> None:
        """Embed and search both; what is found is not even fused, let alone ranked again as ours is."""
        by_meaning(QueryBundle(title, embedding=encoder.embed_queries([title])[0].tolist()))
        bm25.retrieve(title)

    vectors = encoder.embed_queries(titles).tolist()
    queries = [QueryBundle(title, embedding=vector) for title, vector in zip(titles, vectors, strict=True)]

    for title in titles[:5]:
        fused(title)
    return {
        "open_index_s": round(opened - begun, 2),
        "dense": spread(milliseconds(by_meaning, queries)),
        "keyword": spread(milliseconds(bm25.retrieve, titles)),
        "fused": spread(milliseconds(fused, titles)),
        "peak_mb": peak_megabytes(),
    }


def _nodes(store: PaperStore) -> Any:
    with store._database.reading() as db:
        found = db.execute(
            "SELECT passages.key, id, title, abstract, start, end "
            "FROM passages JOIN papers ON paper = papers.key ORDER BY passages.key"
        )
        for _, _, vectors in store._derived.vectors.chunks():
            for vector, (key, paper_id, title, abstract, start, end) in zip(vectors, found, strict=False):
                text = f"{title}\n{abstract[start:end]}"
                yield TextNode(
                    id_=f"{key}", text=text, metadata={"paper": paper_id}, embedding=vector.astype("float32").tolist()
                )
