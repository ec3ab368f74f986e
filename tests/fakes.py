"""Stand-ins for models: they subclass or implement the real interface and give the same answer everywhere."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from index.embedding.encoder import PassageText, PassageVectors, Vectors, unit
from rag.evidence.gathering import gather
from rag.evidence.reader import PaperEvidence
from rag.evidence.similarity import SimilarityReader
from rag.question import Form
from rag.retrieval import Hit, Query

DIMENSION = 64


class HashEncoder:
    """An :class:`index.embedding.encoder.Encoder` that hashes words: texts that share words are close.

    Each word stands for a fixed direction drawn from its hash, the same in every process. A text is the sum of
    its words' directions, so the cosine of two texts grows with the words they share.

    Attributes:
        embedded_passages: How many passages it has embedded so far.
        passage_calls: How many times it was asked to embed passages.
        query_calls: How many times it was asked to embed questions.
    """

    def __init__(self, max_tokens: int = 256) -> None:
        self._max_tokens = max_tokens
        self._directions: dict[str, Vectors] = {}
        self.embedded_passages = 0
        self.passage_calls = 0
        self.query_calls = 0

    @property
    def identity(self) -> dict[str, str | int]:
        return {
            "model_name": "hash-encoder",
            "digest": "blake2b",
            "dimension": DIMENSION,
            "max_tokens": self._max_tokens,
            "query_prefix": "",
            "passage_prefix": "",
        }

    @property
    def dimension(self) -> int:
        return DIMENSION

    @property
    def max_tokens(self) -> int:
        return self._max_tokens

    @property
    def bulk_size(self) -> int:
        return 32

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(_words(text)) for text in texts]

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        self.query_calls += 1
        return np.stack([self._embed(text) for text in texts]) if texts else np.zeros((0, DIMENSION), np.float32)

    def embed_passages(self, passages: Sequence[PassageText]) -> list[PassageVectors]:
        self.passage_calls += 1
        self.embedded_passages += len(passages)
        vectors = []
        for passage in passages:
            sentences = [self._embed(passage.text[start:end]) for start, end in passage.sentences]
            rows = np.stack(sentences) if sentences else np.zeros((0, DIMENSION), np.float32)
            vectors.append(PassageVectors(self._embed(f"{passage.title}\n{passage.text}"), rows))
        return vectors

    def _embed(self, text: str) -> Vectors:
        # A text without words still gets a direction: every vector of an encoder has length 1.
        return unit(np.sum([self._direction(word) for word in _words(text) or [""]], axis=0))

    def _direction(self, word: str) -> Vectors:
        if word not in self._directions:
            seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
            self._directions[word] = unit(np.random.default_rng(seed).standard_normal(DIMENSION).astype(np.float32))
        return self._directions[word]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def read_all(query: Query, hits: Sequence[Hit], form: Form) -> list[PaperEvidence]:
    """Return the evidence in every hit as similarity finds it."""
    readings = SimilarityReader().judge(query, [hit.stored for hit in hits])
    return gather(query, list(zip(hits, readings, strict=True)), form)
