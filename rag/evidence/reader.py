"""What the rest of Citewell asks of an evidence reader, whatever it is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..question import Form
from ..retrieval import Hit, Query


@dataclass(frozen=True, slots=True)
class PaperEvidence:
    """What a reader found in one paper.

    Attributes:
        hit: The paper.
        scores: Evidence score of each sentence, float32, shape (sentences,); higher is better, comparable
            between papers for one question.
        order: Sentence numbers in the order they should be given: each adds the most to those before it.
    """

    hit: Hit
    scores: npt.NDArray[np.float32]
    order: tuple[int, ...]


class EvidenceReader(Protocol):
    """Judges the sentences of retrieved abstracts."""

    def read(self, query: Query, hits: Sequence[Hit], form: Form) -> list[PaperEvidence]:
        """Return the evidence in each paper, in the order of ``hits``, for an answer of the given form."""
        ...
