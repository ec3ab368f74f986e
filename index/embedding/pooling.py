"""Vectors of questions, passages and their sentences from one pass of a token model. Loads no model.

A text's vector is the mean of all its token states, marks included, or the state of its first mark, as the model was
trained. A sentence's vector is the mean over its own tokens in the pass of its passage: it sees its context and costs
nothing extra.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .encoder import PassageText, PassageVectors, Vectors, unit
from .token_model import TokenMeans, TokenModel
from .tokens import TokenReader, Tokens

Pooling = Literal["mean", "cls"]


@dataclass(frozen=True, slots=True)
class PooledTexts:
    """How one model wants its texts, and what it makes of them.

    Attributes:
        reader: Its tokenizer.
        dimension: Length of a token state, and so of every vector.
        query_limit: Tokens of a question, marks and prefix included; the rest is cut off.
        passage_limit: The same for title and passage together.
        pooling: What the vector of a whole text is.
        query_prefix: Put in front of a question.
        passage_prefix: Put in front of a passage's title.
    """

    reader: TokenReader
    dimension: int
    query_limit: int
    passage_limit: int
    pooling: Pooling = "mean"
    query_prefix: str = ""
    passage_prefix: str = ""

    def queries(self, model: TokenModel, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of questions, float32, shape (len(texts), dimension)."""
        read = self.reader.read([self.query_prefix + text for text in texts], self.query_limit)
        means = self._means(model, [(tokens, self._weights(tokens)) for tokens in read])
        return unit(np.concatenate(means)) if means else np.zeros((0, self.dimension), dtype=np.float32)

    def passages(self, model: TokenModel, passages: Sequence[PassageText]) -> list[PassageVectors]:
        """Return passage and sentence vectors, in the order given; a sentence cut off gets its passage's vector."""
        texts = [f"{self.passage_prefix}{passage.title}\n{passage.text}" for passage in passages]
        read = self.reader.read(texts, self.passage_limit)
        wanted = [
            (tokens, np.concatenate([self._weights(tokens), self._sentence_weights(tokens, passage)]))
            for tokens, passage in zip(read, passages, strict=True)
        ]
        embedded = []
        for means in self._means(model, wanted):
            vectors = unit(means)
            vectors[~vectors.any(axis=1)] = vectors[0]
            embedded.append(PassageVectors(vectors[0], vectors[1:]))
        return embedded

    def _weights(self, tokens: Tokens) -> Vectors:
        """Return the weights of a whole text's vector, shape (1, tokens)."""
        weights = np.zeros((1, len(tokens.ids)), dtype=np.float32)
        if self.pooling == "cls":
            weights[:, :1] = 1
        else:
            weights[:] = 1 / max(len(tokens.ids), 1)
        return weights

    def _sentence_weights(self, tokens: Tokens, passage: PassageText) -> Vectors:
        """Return the weights of its sentences' vectors, shape (sentences, tokens); all 0 for one that was cut off."""
        spans = np.array(passage.sentences, dtype=np.int64).reshape(-1, 2)
        held = tokens.inside(spans + len(self.passage_prefix) + len(passage.title) + 1)
        weights = np.zeros((len(spans), len(tokens.ids)), dtype=np.float32)
        for row, (first, stop) in enumerate(held.tolist()):
            weights[row, first:stop] = 1 / max(stop - first, 1)
        return weights

    def _means(self, model: TokenModel, wanted: Sequence[tuple[Tokens, Vectors]]) -> list[Vectors]:
        """Run the model; a text without any token (some models add no marks) has means of 0."""
        means = [np.zeros((len(weights), self.dimension), dtype=np.float32) for _, weights in wanted]
        filled = [at for at, (tokens, _) in enumerate(wanted) if len(tokens.ids)]
        found = model.means([TokenMeans(wanted[at][0].ids, wanted[at][1]) for at in filled])
        for at, rows in zip(filled, found, strict=True):
            means[at] = rows
        return means
