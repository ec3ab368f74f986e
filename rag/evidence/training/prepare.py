"""Compute what every example needs once: vectors, term weights, tokens. Trains nothing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from index.embedding.encoder import Encoder, PassageText, Vectors
from index.embedding.token_model import TokenMeans
from index.terms import document_terms, question_terms

from ...retrieval import rarity
from ..features import abstract_features, sentence_features
from ..inputs import InputLayout
from .examples import Abstract, Example


@dataclass(frozen=True, slots=True)
class Inputs:
    """One example as the network gets it.

    Attributes:
        row: Tokens, and the weights of their means: the first mark, the text, each sentence.
        features: float32, shape (sentences, SENTENCE_FEATURES).
        abstract_features: float32, shape (ABSTRACT_FEATURES,).
    """

    row: TokenMeans
    features: Vectors
    abstract_features: Vectors


class Preparation:
    """Makes inputs of examples.

    Args:
        abstracts: What the examples' abstract numbers refer to.
        encoder: The bundled encoder, whose similarity is a feature.
        layout: Makes the rows of tokens.
    """

    def __init__(self, abstracts: Sequence[Abstract], encoder: Encoder, layout: InputLayout) -> None:
        self._abstracts, self._encoder, self._layout = abstracts, encoder, layout
        self._frequency = Counter(
            term for a in abstracts for term in set(document_terms(f"{a.title}\n{' '.join(a.sentences)}"))
        )
        self.passage_vectors, self._sentence_vectors = _embed(abstracts, encoder)
        self._text_vectors: dict[str, Vectors] = {}

    def embed_texts(self, texts: Sequence[str]) -> None:
        """Embed the texts that are not yet, so that :meth:`inputs` finds them."""
        new = [text for text in dict.fromkeys(texts) if text not in self._text_vectors]
        for start in range(0, len(new), 512):
            batch = new[start : start + 512]
            self._text_vectors.update(zip(batch, self._encoder.embed_queries(batch), strict=True))

    def length(self, example: Example) -> int:
        """Return the number of tokens of an example."""
        return len(self._layout.row(example.text, *self._shown(example)).ids)

    def inputs(self, example: Example) -> Inputs:
        """Return one example as the network gets it; its text must have been embedded."""
        title, sentences = self._shown(example)
        weights = rarity(question_terms(example.text), self._frequency, len(self._abstracts))
        vectors = self._sentence_vectors[example.abstract][list(example.kept)]
        similarity = vectors @ self._text_vectors[example.text]
        rows = sentence_features(example.text, weights, similarity, title, sentences)
        whole = abstract_features(weights, rows, title, sentences)
        return Inputs(self._layout.row(example.text, title, sentences), rows, whole)

    def _shown(self, example: Example) -> tuple[str, list[str]]:
        abstract = self._abstracts[example.abstract]
        return abstract.title if example.titled else "", [abstract.sentences[n] for n in example.kept]


def _embed(abstracts: Sequence[Abstract], encoder: Encoder) -> tuple[Vectors, list[Vectors]]:
    """Return one vector per abstract, and one per sentence of each."""
    wholes, sentences = [], []
    for start in range(0, len(abstracts), 64):
        batch = abstracts[start : start + 64]
        texts = [passage_text(a.title, a.sentences) for a in batch]
        for vectors in encoder.embed_passages(texts):
            wholes.append(vectors.passage)
            sentences.append(vectors.sentences)
    return np.stack(wholes), sentences


def passage_text(title: str, sentences: Sequence[str]) -> PassageText:
    """Return title and sentences as one passage."""
    spans, at = [], 0
    for sentence in sentences:
        spans.append((at, at + len(sentence)))
        at += len(sentence) + 1
    return PassageText(title, " ".join(sentences), tuple(spans))
