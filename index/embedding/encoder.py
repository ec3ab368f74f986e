"""What the index asks of an embedding model, whatever runs it. Holds no model itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
CPU_BULK_SIZE = 32  # papers: about a second of a small model's work on two cores


@dataclass(frozen=True, slots=True)
class PassageText:
    """What is embedded for a passage.

    Attributes:
        title: The paper's title; it is put in front of the text for embedding only.
        text: The passage.
        sentences: Half-open character spans into ``text``, in order.
    """

    title: str
    text: str
    sentences: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class PassageVectors:
    """The vectors of one passage, all of unit length.

    Attributes:
        passage: float32, shape (dimension,).
        sentences: float32, shape (number of sentences, dimension).
    """

    passage: Vectors
    sentences: Vectors


@runtime_checkable
class Encoder(Protocol):
    """An embedding model. Implementations are safe to call from several threads."""

    @property
    def identity(self) -> dict[str, str | int]:
        """Everything that shapes a vector (model, digest, dimension, token limit), as stored in the manifest."""
        ...

    @property
    def dimension(self) -> int:
        """Length of every vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens of title and passage together that the model was made for."""
        ...

    @property
    def bulk_size(self) -> int:
        """Papers it wants at once in a bulk add: enough to keep it busy, few enough to lose in an interruption."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, without the model's own marks."""
        ...

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of questions, float32, shape (len(texts), dimension)."""
        ...

    def embed_passages(self, passages: Sequence[PassageText]) -> list[PassageVectors]:
        """Return the vectors of each passage and of its sentences, in the order given."""
        ...


def unit(vectors: Vectors) -> Vectors:
    """Scale the rows of ``vectors`` (shape (..., dimension)) to length 1; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(norms, 1e-12), dtype=np.float32)
