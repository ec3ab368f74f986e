"""Find the papers for a question: meaning, best sentence and word coverage, fused. Writes no answer.

The fused score of a paper is

    cosine(question, nearest passage) + 0.8 * cosine(question, nearest sentence) + 0.9 * coverage

where coverage is the share of the question's terms that the paper holds, each weighted by its rarity (inverse
document frequency). All three are absolute, so scores of different questions can be compared, which the refusal
decision needs; dividing BM25 by its maximum, as fusions often do, gives the best of a bad lot the full mark.
The weights were chosen on known-item searches over 754 abstracts and left at round numbers. A paper that the question
calls by the name its title begins with gets a little more.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from index.embedding.encoder import Vectors
from index.filters import Where
from index.rows import StoredPaper
from index.store import Candidates, PaperStore
from index.terms import document_terms, fold_words, question_terms, stem

from .answer import Source
from .names import Name, find_names, names_in_title

_WORD = re.compile(r"[^\W\d_]+")
SENTENCE_WEIGHT = 0.8
COVERAGE_WEIGHT = 0.9
CALLED_BY_NAME = 0.5


@dataclass(frozen=True, slots=True)
class Query:
    """A question in the forms the searches need.

    Attributes:
        text: The words that were embedded.
        vector: Unit vector, float32, shape (dimension,).
        terms: Distinct topic terms.
        weights: Inverse document frequency of each term, positive.
    """

    text: str
    vector: Vectors
    terms: tuple[str, ...]
    weights: Mapping[str, float]

    def coverage(self, terms: frozenset[str] | set[str]) -> float:
        """Return the share of the question's terms in ``terms``, weighted by rarity, 0 to 1."""
        total = sum(self.weights.values())
        return sum(weight for term, weight in self.weights.items() if term in terms) / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A paper that was found, with what the index knows of it.

    Attributes:
        source: The paper with its scores and ranks.
        stored: Its sentences and vectors.
        fused: Its score in the search, about 0 to 3, before anything was read.
    """

    source: Source
    stored: StoredPaper
    fused: float = 0.0


@dataclass(frozen=True, slots=True)
class Retrieval:
    """What was found for a question.

    Attributes:
        hits: Papers, best first.
        query: The question itself; evidence is chosen by it alone.
        names: The names in the question.
    """

    hits: tuple[Hit, ...]
    query: Query
    names: tuple[Name, ...]


class Retriever:
    """Searches a store.

    Args:
        store: The collection.
        candidates: Papers taken from each of the two searches before fusion.
        keywords: Whether shared words count beside meaning.
    """

    def __init__(self, store: PaperStore, candidates: int = 50, *, keywords: bool = True) -> None:
        self._store = store
        self._candidates = candidates
        self._coverage_weight = COVERAGE_WEIGHT if keywords else 0.0

    def retrieve(self, questions: Sequence[tuple[str, float]], k: int, where: Where | None = None) -> Retrieval:
        """Return the ``k`` best papers.

        Args:
            questions: The question, then other wordings of it, each with the weight of its score; weights add to 1.
            k: Papers wanted, at least 1.
            where: Filter; only papers that pass it are found.
        """
        vectors = self._store.encoder.embed_queries([text for text, _ in questions])
        limit = max(self._candidates, k)
        scores: dict[int, float] = {}
        found: list[tuple[Query, Candidates]] = []
        respelled: dict[str, str] = {}
        for (text, _), vector in zip(questions, vectors, strict=True):
            terms = tuple(question_terms(text))
            candidates = self._store.candidates(vector, terms, limit, where)
            slips = self._slips(text, [term for term in terms if not candidates.document_frequency[term]])
            if slips:
                respelled.update(slips)
                terms = tuple(dict.fromkeys(slips.get(term, term) for term in terms))
                candidates = self._store.candidates(vector, terms, limit, where)
            found.append(
                (Query(text, vector, terms, rarity(terms, candidates.document_frequency, candidates.total)), candidates)
            )
        pool = {
            key: stored
            for _, candidates in found
            for key, stored in candidates.papers.items()
            if self._coverage_weight or key in candidates.by_meaning
        }
        for (query, _), (_, weight) in zip(found, questions, strict=True):
            for key, stored in pool.items():
                scores[key] = scores.get(key, 0.0) + weight * self.score(query, stored)
        best = sorted(pool, key=lambda key: (-scores[key], key))[:k]
        hits = []
        for rank, key in enumerate(best, start=1):
            # What speaks for a paper is told for the wording that speaks for it most.
            dense, sentence, coverage = max((_parts(query, pool[key]) for query, _ in found), key=self._fused)
            source = Source(
                paper=pool[key].paper,
                rank=rank,
                score=round(scores[key], 6),
                dense_score=round(dense, 6),
                sentence_score=round(sentence, 6),
                keyword_score=round(coverage, 6),
                dense_rank=_best_rank([candidates.by_meaning for _, candidates in found], key),
                keyword_rank=_best_rank([candidates.by_keyword for _, candidates in found], key),
            )
            hits.append(Hit(source, pool[key], scores[key]))
        known = {t for _, c in found for t, count in c.document_frequency.items() if count} | respelled.keys()
        names = find_names(questions[0][0], known.__contains__, self._store.encoder.count_tokens)
        return Retrieval(tuple(hits), found[0][0], tuple(names))

    def _slips(self, text: str, unknown: Sequence[str]) -> dict[str, str]:
        """Return for mistyped words the terms that were meant. A word that the encoder knows whole is not mistyped."""
        if not unknown:
            return {}
        words = [word for word in _WORD.findall(fold_words(text)) if stem(word) in unknown]
        pieces = self._store.encoder.count_tokens(words)
        return self._store.respelled([stem(w) for w, count in zip(words, pieces, strict=True) if count > 1])

    def query(self, text: str) -> Query:
        """Return a text in the forms that a reader needs, without searching."""
        terms = tuple(question_terms(text))
        frequency, total = self._store.document_frequency(terms)
        return Query(text, self._store.encoder.embed_queries([text])[0], terms, rarity(terms, frequency, total))

    def _fused(self, parts: tuple[float, float, float]) -> float:
        return _fused(parts, self._coverage_weight)

    def score(self, query: Query, stored: StoredPaper) -> float:
        """Return the fused score of one paper for one wording, about 0 to 3."""
        return fused_score(query, stored, self._coverage_weight)


@lru_cache(maxsize=50_000)
def term_set(text: str) -> frozenset[str]:
    """Return the terms of a title or a sentence."""
    return frozenset(document_terms(text))


def marked(hits: Sequence[Hit], markers: Mapping[str, int]) -> tuple[Source, ...]:
    """Return the hits' sources with the markers of the papers that are cited."""
    return tuple(replace(hit.source, marker=markers.get(hit.source.paper.id)) for hit in hits)


def fused_score(query: Query, stored: StoredPaper, coverage_weight: float = COVERAGE_WEIGHT) -> float:
    """Return the fused score of one paper for one wording, about 0 to 3."""
    parts = _parts(query, stored)
    return _fused(parts, coverage_weight) + CALLED_BY_NAME * names_in_title(stored.paper, query.text)


def _fused(parts: tuple[float, float, float], coverage_weight: float = COVERAGE_WEIGHT) -> float:
    dense, sentence, coverage = parts
    return dense + SENTENCE_WEIGHT * sentence + coverage_weight * coverage


def _parts(query: Query, stored: StoredPaper) -> tuple[float, float, float]:
    dense = float(np.max(stored.passage_vectors @ query.vector))
    sentence = float(np.max(stored.sentence_vectors @ query.vector))
    return dense, sentence, query.coverage(stored.terms)


def rarity(terms: Sequence[str], frequency: Mapping[str, int], total: int) -> dict[str, float]:
    """Return Robertson and Sparck Jones's inverse document frequency of each term, kept positive as Lucene does.

    Args:
        terms: Terms of a question.
        frequency: In how many papers each is.
        total: Papers in all.
    """
    return {t: math.log(1 + (total - frequency[t] + 0.5) / (frequency[t] + 0.5)) for t in terms}


def _best_rank(rankings: Sequence[Sequence[int]], key: int) -> int | None:
    return min((ranking.index(key) + 1 for ranking in rankings if key in ranking), default=None)
