"""An evidence reader with nothing to train: similarity in meaning plus the question's own words.

A sentence scores

    cosine(text, sentence) + 0.5 * share of the text's words it holds

where the words are weighted by rarity and those of the paper's title are left out: they say which paper is
meant, not what is asked about it. The trained reader has the same two among its inputs. This one costs a thousandth of
it, and is what is used where a collection does better without it.
"""

from collections.abc import Sequence

import numpy as np

from index.rows import StoredPaper

from ..retrieval import Query
from .features import sentence_features
from .reader import Reading

COVERAGE_WEIGHT = 0.5
# Log odds of being evidence per unit of the score, and the score at which they are even: logistic regression of
# AbstractQA's training sentences, rounded.
SLOPE, EVEN = 9.0, 0.75


class SimilarityReader:
    """An :class:`~rag.evidence.reader.EvidenceReader` without a network."""

    def judge(self, query: Query, papers: Sequence[StoredPaper]) -> list[Reading]:
        """Return what it makes of a question or claim and each paper, in the order given."""
        return [_judge(query, paper) for paper in papers]


def _judge(query: Query, paper: StoredPaper) -> Reading:
    sentences = [paper.paper.abstract[start:end] for start, end in paper.sentences]
    similarity = paper.sentence_vectors @ query.vector
    features = sentence_features(query.text, query.weights, similarity, paper.paper.title, sentences)
    scores = (SLOPE * (features[:, 0] + COVERAGE_WEIGHT * features[:, 1] - EVEN)).astype(np.float32)
    best = float(scores.max())
    # Of relevance it knows nothing that the search has not counted already.
    return Reading(evidence=scores, support=scores, answerable=best, supported=best, relevant=0.0)
