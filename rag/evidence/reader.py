"""What the rest of Citewell asks of an evidence reader, whatever it is made of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from index.rows import StoredPaper

from ..retrieval import Hit, Query

WORTH_ADDING = 0.35  # of the best sentence's probability of being evidence


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader makes of one text (a question or a claim) and one abstract. Scores are log odds: 0 is even.

    Attributes:
        evidence: How surely each sentence answers the question or is what the claim is about, float32, shape
            (sentences,).
        support: How surely each sentence supports the claim, float32, shape (sentences,).
        answerable: How surely the abstract answers the question.
        supported: How surely the abstract supports the claim.
        relevant: How surely the abstract is about what the text asks for.
    """

    evidence: npt.NDArray[np.float32]
    support: npt.NDArray[np.float32]
    answerable: float
    supported: float
    relevant: float


@dataclass(frozen=True, slots=True)
class PaperEvidence:
    """What was found in one paper.

    Attributes:
        hit: The paper.
        reading: What the reader made of it.
        scores: Evidence score of each sentence, float32, shape (sentences,); higher is better, comparable
            between papers for one question.
        order: Sentence numbers in the order they should be given: each adds the most to those before it.
    """

    hit: Hit
    reading: Reading
    scores: npt.NDArray[np.float32]
    order: tuple[int, ...]

    @property
    def floor(self) -> float:
        """The probability of being evidence from which a sentence is worth giving beside the best one, 0 to 1."""
        return WORTH_ADDING * probability(float(self.scores[self.order[0]])) if self.order else 0.0


class EvidenceReader(Protocol):
    """Judges abstracts. Implementations are safe to call from several threads."""

    def judge(self, query: Query, papers: Sequence[StoredPaper]) -> list[Reading]:
        """Return what it makes of a question or claim and each paper, in the order given."""
        ...


def probability(log_odds: float) -> float:
    """Return the probability of log odds."""
    return 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0
