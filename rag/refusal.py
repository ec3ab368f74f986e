"""Decide, before anything is written, whether the papers can answer a question. Writes no answer.

The score is a logistic function of four facts about the question and the papers that would be cited: how near their
best sentence is, which share of the question's words they hold (weighted by rarity), how many of the names in the
question none of them mentions, and how long the question is, for a long one is never covered word for word.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from index.terms import STOP_WORDS, stem

from .evidence.reader import PaperEvidence
from .question import RARE_WORD, Name, missing_names
from .retrieval import Query, paper_terms

# Fitted by logistic regression, then rounded: questions on the bundled papers asked with and without their paper in
# the collection, and questions on other papers. At 0.5, 1 in 110 answerable questions is refused.
SENTENCE_WEIGHT = 8.0
COVERAGE_WEIGHT = 4.0
MISSING_NAME_WEIGHT = -1.8
TERM_WEIGHT = 0.25
MAX_TERMS = 12
BIAS = -5.2

DEFAULT_THRESHOLD = 0.5

_COUNTED = re.compile(r"\bhow many ((?:[^\W\d_]+[- ]){0,2}?[^\W\d_]+)\b", re.I)
_NOT_COUNTED = STOP_WORDS | {"times", "percent", "people", "ways", "different", "less", "fewer"}


@dataclass(frozen=True, slots=True)
class Answerability:
    """Whether to answer.

    Attributes:
        score: 0 to 1; higher is more surely answerable.
        missing: Names in the question that none of the papers mentions.
    """

    score: float
    missing: tuple[Name, ...]

    def reason(self) -> str:
        """Why a question is refused, for people."""
        return self._lacking(RARE_WORD) or "No abstract comes close enough to the question."

    def gap(self) -> str:
        """What an answered question names and no cited abstract does, for people; "" for nothing."""
        return self._lacking(1.0)

    def _lacking(self, weight: float) -> str:
        names = [f"“{name.text}”" for name in self.missing if name.weight >= weight]
        if not names:
            return ""
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
        return f"The nearest abstracts do not mention {listed}."


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
    missing = missing_names(names, papers) + _missing_counts(queries[0].text, held)
    weight = sum(name.weight for name in missing)
    coverage = max(query.coverage(held) for query in queries)
    length = min(len(queries[0].terms), MAX_TERMS)
    linear = (
        SENTENCE_WEIGHT * nearest
        + COVERAGE_WEIGHT * coverage
        + MISSING_NAME_WEIGHT * weight
        + TERM_WEIGHT * length
        + BIAS
    )
    return Answerability(round(1 / (1 + math.exp(-linear)), 6), tuple(missing))


def _missing_counts(question: str, held: frozenset[str]) -> list[Name]:
    """Return the things a question asks the number of that no paper mentions ("how many days")."""
    missing = []
    for match in _COUNTED.findall(question):
        thing = stem(match.split()[-1].casefold())
        if match.casefold() not in _NOT_COUNTED and not any(_alike(thing, term) for term in held):
            missing.append(Name(match, 1.0))
    return missing


def _alike(thing: str, term: str) -> bool:
    """Whether two terms are equal, or one is the other shortened ("param") or with a prefix ("gflop")."""
    shorter, longer = sorted((thing, term), key=len)
    return thing == term or (len(shorter) >= 4 and (longer.startswith(shorter) or longer.endswith(shorter)))
