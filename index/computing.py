"""Turn the text of papers into what an index stores of it: sentences, passages and their vectors. Stores nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from .embedding.encoder import Encoder, PassageText, PassageVectors, Vectors
from .paper import Paper
from .passages import OVERLAP_SENTENCES, Passage, split_passages
from .rows import Computed, Span


@dataclass(frozen=True, slots=True)
class PassageSettings:
    """How abstracts are cut into passages; with the encoder's identity this decides every stored vector.

    Attributes:
        max_tokens: Tokens of title and passage together, at most.
        overlap_sentences: Sentences that neighbouring passages share.
    """

    max_tokens: int
    overlap_sentences: int = OVERLAP_SENTENCES

    def to_dict(self) -> dict[str, int]:
        """Return the settings as the manifest holds them."""
        return asdict(self)


def cut(paper: Paper, encoder: Encoder, settings: PassageSettings) -> list[Passage]:
    """Cut a paper's abstract into passages."""
    return split_passages(paper.title, paper.abstract, settings.max_tokens, encoder.count_tokens)


def compute(papers: Sequence[tuple[Paper, Sequence[Passage]]], encoder: Encoder) -> list[Computed]:
    """Embed papers that have been cut into passages, all in one call of the encoder."""
    texts = [_passage_text(paper, passage) for paper, passages in papers for passage in passages]
    embedded = iter(encoder.embed_passages(texts))
    return [_computed(passages, embedded) for _, passages in papers]


def _computed(passages: Sequence[Passage], embedded: Iterator[PassageVectors]) -> Computed:
    sentences: dict[Span, Vectors] = {}
    rows = []
    for passage in passages:
        vectors = next(embedded)
        rows.append(vectors.passage)
        for span, vector in zip(passage.sentences, vectors.sentences, strict=True):
            sentences.setdefault(span, vector)  # one shared by two passages keeps the first vector
    return Computed(
        sentences=tuple(sentences),
        sentence_vectors=np.stack(list(sentences.values())).astype(np.float16),
        passages=tuple((passage.start, passage.end) for passage in passages),
        passage_vectors=np.stack(rows).astype(np.float16),
    )


def _passage_text(paper: Paper, passage: Passage) -> PassageText:
    spans = tuple((start - passage.start, end - passage.start) for start, end in passage.sentences)
    return PassageText(paper.title, paper.abstract[passage.start : passage.end], spans)
