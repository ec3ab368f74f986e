"""Any llama-index embedding model as an encoder of ours. Loads no model."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .encoder import CPU_BULK_SIZE, PassageText, PassageVectors, Vectors, unit

if TYPE_CHECKING:
    from llama_index.core.base.embeddings.base import BaseEmbedding

MAX_TOKENS = 256
_CHARS_PER_TOKEN = 4  # an estimate: llama-index does not say how its model counts


class LlamaIndexEncoder:
    """A :class:`~index.embedding.encoder.Encoder` over a ``BaseEmbedding``.

    Such a model gives one vector per text, so sentences are embedded one by one, which costs about a second pass.

    Args:
        embed_model: The model; it applies its own query and text instructions.
    """

    def __init__(self, embed_model: "BaseEmbedding") -> None:
        self._model = embed_model
        self._dimension = len(embed_model.get_query_embedding("dimension"))

    @property
    def identity(self) -> dict[str, str | int]:
        """The model as llama-index names it; its weights are not known, so the digest is empty."""
        return {
            "model_name": self._model.model_name,
            "digest": "",
            "dimension": self._dimension,
            "max_tokens": MAX_TOKENS,
            "query_prefix": str(getattr(self._model, "query_instruction", None) or ""),
            "passage_prefix": str(getattr(self._model, "text_instruction", None) or ""),
        }

    @property
    def dimension(self) -> int:
        """Length of every vector."""
        return self._dimension

    @property
    def max_tokens(self) -> int:
        """Tokens of title and passage together."""
        return MAX_TOKENS

    @property
    def bulk_size(self) -> int:
        """32 papers at once: where such a model runs is not known."""
        return CPU_BULK_SIZE

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return an estimate of each text's tokens: a quarter of its characters."""
        return [max(1, len(text) // _CHARS_PER_TOKEN) for text in texts]

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of questions, float32, shape (len(texts), dimension)."""
        return _matrix([self._model.get_query_embedding(text) for text in texts], self._dimension)

    def embed_passages(self, passages: Sequence[PassageText]) -> list[PassageVectors]:
        """Return the vectors of each passage and of its sentences, in the order given."""
        texts = [f"{passage.title}\n{passage.text}" for passage in passages]
        texts += [passage.text[start:end] for passage in passages for start, end in passage.sentences]
        vectors = _matrix(self._model.get_text_embedding_batch(texts), self._dimension)
        embedded, at = [], len(passages)
        for row, passage in enumerate(passages):
            embedded.append(PassageVectors(vectors[row], vectors[at : at + len(passage.sentences)]))
            at += len(passage.sentences)
        return embedded


def _matrix(vectors: Sequence[Sequence[float]], dimension: int) -> Vectors:
    return unit(np.asarray(vectors, dtype=np.float32).reshape(-1, dimension))
