"""A collection as llama-index sees it: a retriever and a query engine. Adds no behaviour."""

import asyncio
from typing import TYPE_CHECKING, Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.response.schema import Response
from llama_index.core.prompts.mixin import PromptMixinType
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from .answer import Source

if TYPE_CHECKING:
    from .qa import PaperQA


class PaperRetriever(BaseRetriever):
    """Retrieves papers; a node is an abstract, its score the fused score.

    Args:
        qa: The collection.
        similarity_top_k: Papers per query, at least 1.

    Raises:
        ValueError: If ``similarity_top_k`` is less than 1.
    """

    def __init__(self, qa: "PaperQA", similarity_top_k: int) -> None:
        if similarity_top_k < 1:
            raise ValueError(f"similarity_top_k is {similarity_top_k}; it must be at least 1")
        super().__init__()
        self._qa = qa
        self.similarity_top_k = similarity_top_k

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [_node(source) for source in self._qa.search(query_bundle.query_str, k=self.similarity_top_k)]


class PaperQueryEngine(BaseQueryEngine):
    """Answers through :meth:`rag.PaperQA.ask`.

    Args:
        qa: The collection.
    """

    def __init__(self, qa: "PaperQA") -> None:
        super().__init__(callback_manager=None)
        self._qa = qa

    def _query(self, query_bundle: QueryBundle) -> Response:
        answer = self._qa.ask(query_bundle.query_str)
        return Response(
            response=answer.text,
            source_nodes=[_node(source) for source in answer.sources],
            metadata={"answer": answer.to_dict()},
        )

    async def _aquery(self, query_bundle: QueryBundle) -> Response:
        return await asyncio.to_thread(self._query, query_bundle)

    def _get_prompt_modules(self) -> PromptMixinType:
        return {}


def _node(source: Source) -> NodeWithScore:
    paper = source.paper
    metadata: dict[str, Any] = {
        "title": paper.title,
        "authors": list(paper.authors),
        "year": paper.year,
        "venue": paper.venue,
        "url": paper.url,
    }
    return NodeWithScore(node=TextNode(id_=paper.id, text=paper.abstract, metadata=metadata), score=source.score)
