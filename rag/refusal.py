"""Decide, before anything is written, whether the papers can answer a question. Writes no answer.

The score is a logistic function of three facts about the papers that would be cited: how near their best
sentence is, how many of the question's words they hold (weighted by rarity), and how many of the names in the
question none of them mentions.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from index.terms import stem

from .evidence.reader import PaperEvidence
from .question import Name, missing_names
from .retrieval import Query, paper_terms

# Fitted by logistic regression on questions with and without their paper in the collection; see ARCHITECTURE.md.
SENTENCE_WEIGHT = 7.4
COVERAGE_WEIGHT = 4.1
MISSING_NAME_WEIGHT = -1.8
BIAS = -4.6

DEFAULT_THRESHOLD = 0.08

_QUANTITY = re.compile(r"\bhow (?:many|much) ((?:[^\W\d_]+[- ]){0,2}?[^\W\d_]+)\b", re.I)


@dataclass(frozen=True, slots=True)
class Answerability:
    """Whether to answer.

    Attributes:
        score: 0 to 1; higher is more surely answerable.
        missing: Names in the question that surely matter and that none of the papers mentions.
    """

    score: float
    missing: tuple[str, ...]

    def reason(self) -> str:
        """Why a question was refused, for people."""
        return self.gap() or "No abstract comes close enough to the question."

    def gap(self) -> str:
        """What the question names and no abstract does, for people; "" for nothing."""
        return f"The nearest abstracts do not mention {_listed(self.missing)}." if self.missing else ""


def answerability(queries: Sequence[Query], names: Sequence[Name], chosen: Sequence[PaperEvidence]) -> Answerability:
    """Judge a question by the papers that would be cited for it.

    Args:
        queries: The question, then its stand-alone wording if it points back at the conversation.
        names: Its names, from :func:`rag.question.find_names`.
        chosen: Evidence in the papers that would be cited; none means not answerable.
    """
    if not chosen:
        return Answerability(0.0, ())
    papers = [evidence.hit.source.paper for evidence in chosen]
    nearest = max(float(np.max(e.hit.stored.sentence_vectors @ query.vector)) for e in chosen for query in queries)
    held = frozenset[str]().union(*(paper_terms(evidence.hit.stored) for evidence in chosen))
    missing = missing_names(names, papers) + _missing_quantities(queries[0].text, held)
    weight = sum(name.weight for name in missing)
    coverage = max(query.coverage(held) for query in queries)
    linear = SENTENCE_WEIGHT * nearest + COVERAGE_WEIGHT * coverage + MISSING_NAME_WEIGHT * weight + BIAS
    return Answerability(
        round(1 / (1 + math.exp(-linear)), 6), tuple(name.text for name in missing if name.weight >= 0.4)
    )


def _missing_quantities(question: str, held: frozenset[str]) -> list[Name]:
    """Return the things a question asks the number of that no paper mentions ("how many days")."""
    return [
        Name(unit.split()[-1], 1.0)
        for unit in _QUANTITY.findall(question)
        if not any(stem(word.casefold()) in held for word in unit.replace("-", " ").split())
    ]


def _listed(names: Sequence[str]) -> str:
    quoted = [f"“{name}”" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
