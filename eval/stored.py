"""Make what an index would hold of abstracts whose sentences are given. Opens no index."""

from collections.abc import Iterator, Sequence

import numpy as np

from index.computing import compute
from index.embedding.encoder import Encoder
from index.paper import Paper
from index.passages import SPECIAL_TOKENS, Passage
from index.rows import StoredPaper
from index.terms import indexed_terms

from .evidence_set import Abstract


def stored_papers(abstracts: Sequence[Abstract], encoder: Encoder) -> list[StoredPaper]:
    """Embed abstracts as the index does, with exactly their sentences.

    An abstract is the sentences joined by one space. One that is longer than the encoder's window becomes several
    passages, which share no sentence. Vectors have passed through half precision, as stored ones have.
    """
    papers = [Paper(abstract.id, abstract.title, " ".join(abstract.sentences)) for abstract in abstracts]
    cut = [(paper, list(_passages(abstract, encoder))) for paper, abstract in zip(papers, abstracts, strict=True)]
    return [
        StoredPaper(
            paper=paper,
            sentences=computed.sentences,
            sentence_vectors=computed.sentence_vectors.astype(np.float32),
            passage_vectors=computed.passage_vectors.astype(np.float32),
            terms=frozenset(indexed_terms(paper.title, paper.abstract).split()),
        )
        for paper, computed in zip(papers, compute(cut, encoder), strict=True)
    ]


def _passages(abstract: Abstract, encoder: Encoder) -> Iterator[Passage]:
    title_tokens, *counts = encoder.count_tokens([abstract.title, *abstract.sentences])
    budget = encoder.max_tokens - SPECIAL_TOKENS - min(title_tokens, encoder.max_tokens // 2)
    inside: list[tuple[int, int]] = []
    start, used = 0, 0
    for sentence, count in zip(abstract.sentences, counts, strict=True):
        if inside and used + count > budget:
            yield Passage(inside[0][0], inside[-1][1], tuple(inside))
            inside, used = [], 0
        inside.append((start, start + len(sentence)))
        start, used = start + len(sentence) + 1, used + count
    yield Passage(inside[0][0], inside[-1][1], tuple(inside))
