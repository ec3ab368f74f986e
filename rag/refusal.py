"""Decide, before anything is written, whether the papers can answer a question. Writes no answer.

The score is a logistic function of facts about the question and the papers that would be cited: how surely the evidence
reader finds it answered, how near the best sentence is, which share of the question's words they hold (weighted by
rarity), how many of the names in the question none of them mentions, whether the question calls one of them by name,
and how long it is, for a long question is never covered word for word.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import dropwhile, takewhile

import numpy as np

from index.paper import Paper
from index.terms import STOP_WORDS, stem

from .evidence.reader import PaperEvidence, probability
from .names import RARE_WORD, Name, mentions, missing_names, names_in_title
from .question import Form
from .retrieval import Query

# Fitted by logistic regression on questions on the bundled papers and on AbstractQA's development abstracts, each also
# asked without its paper in the collection, and on questions that were written to be unanswerable; then rounded. The
# bias is moved so that 0.5 refuses none of the example questions and 1 in 20 of AbstractQA's: people mostly ask what
# can be answered.
ANSWERABLE_WEIGHT = 0.6
SENTENCE_WEIGHT = 2.3
COVERAGE_WEIGHT = 0.8
MISSING_NAME_WEIGHT = -1.0
TERM_WEIGHT = 0.27
MAX_TERMS = 12
CALLED_BY_NAME_WEIGHT = 1.25
LIST_BIAS = 1.3
FOLLOW_UP_BIAS = 1.6
BIAS = -1.3

_COUNTED = re.compile(r"\bhow many (?=((?:[^\W\d_]+[- ]){0,2}[^\W\d_]+))", re.I)
_NOT_COUNTED = STOP_WORDS | {"times", "percent", "people", "ways", "different", "less", "fewer"}


@dataclass(frozen=True, slots=True)
class Answerability:
    """Whether to answer.

    Attributes:
        score: 0 to 1; higher is more surely answerable.
        missing: Names in the question that none of the papers mentions.
        papers: Short titles of the papers that were judged.
    """

    score: float
    missing: tuple[Name, ...] = ()
    papers: tuple[str, ...] = ()

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
        if len(self.papers) == 1:
            return f"The nearest paper, {self.papers[0]}, does not mention {listed}."
        return f"The {len(self.papers)} nearest papers do not mention {listed}."


def answerability(
    query: Query, names: Sequence[Name], chosen: Sequence[PaperEvidence], form: Form, *, follow_up: bool = False
) -> Answerability:
    """Judge a question by the papers that would be cited for it.

    Args:
        query: The question, in its own words only: those of an earlier answer are always in the paper it quoted.
        names: Its names, from :func:`rag.names.find_names`.
        chosen: Evidence in the papers that would be cited; none means not answerable.
        form: What the question asks for. A list asks for a topic, on which no sentence need be a full answer.
        follow_up: Whether the question refers to the conversation. Its paper is then known, so what is asked of it
            may be told in few words; one without any topic word ("how does it work?") scores at least 0.5.
    """
    if not chosen or not (follow_up or any(c.isalpha() for term in query.terms for c in term)):
        return Answerability(0.0)  # nothing is found, or nothing is asked: "what?", "42"
    papers = [evidence.hit.source.paper for evidence in chosen]
    nearest = max(float(np.max(e.hit.stored.sentence_vectors @ query.vector)) for e in chosen)
    held = frozenset[str]().union(*(evidence.hit.stored.terms for evidence in chosen))
    missing = missing_names(names, papers) + _missing_counts(query.text, held, papers)
    log_odds = (
        BIAS
        + ANSWERABLE_WEIGHT * max(evidence.reading.answerable for evidence in chosen)
        + SENTENCE_WEIGHT * nearest
        + COVERAGE_WEIGHT * query.coverage(held)
        + MISSING_NAME_WEIGHT * sum(name.weight for name in missing)
        + TERM_WEIGHT * min(len(query.terms), MAX_TERMS)
        + CALLED_BY_NAME_WEIGHT * any(names_in_title(paper, query.text) for paper in papers)
        + LIST_BIAS * (form is Form.LIST)
        + FOLLOW_UP_BIAS * follow_up
    )
    if follow_up and not query.terms:
        log_odds = max(log_odds, 0.0)
    score = round(probability(log_odds), 6)
    return Answerability(score, tuple(missing), tuple(paper.short_title for paper in papers))


def _missing_counts(question: str, held: frozenset[str], papers: Sequence[Paper]) -> list[Name]:
    """Return the things a question asks the number of that no paper mentions ("how many days")."""
    missing = []
    for match in _COUNTED.findall(question):
        words = list(dropwhile(_NOT_COUNTED.__contains__, re.split(r"[- ]", match.casefold())))
        # What is counted ends before the first function word ("attention heads does it"); its last word names it.
        counted = list(takewhile(lambda word: word not in _NOT_COUNTED, words))
        if not counted or any(mentions(paper, counted[-1]) for paper in papers):
            continue
        if not any(_alike(stem(counted[-1]), term) for term in held):
            missing.append(Name(" ".join(counted), 1.0))
    return missing


def _alike(thing: str, term: str) -> bool:
    """Whether two terms are equal, or one is the other shortened ("param") or with a prefix ("gflop")."""
    shorter, longer = sorted((thing, term), key=len)
    return thing == term or (len(shorter) >= 4 and (longer.startswith(shorter) or longer.endswith(shorter)))
