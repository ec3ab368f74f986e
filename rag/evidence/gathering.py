"""Put what a reader found into the order in which an answer should give it. Reads no abstract itself.

On top of the reader's scores: what repeats an earlier sentence counts less, a sentence that only says where the code is
counts little unless that was asked, and a list wants the sentence in which a paper says what it does.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from index.embedding.encoder import Vectors

from ..names import names_in_title
from ..question import Form
from ..retrieval import Hit, Query
from .reader import EvidenceReader, PaperEvidence, Reading

UNANSWERED = -2.0  # log odds below which a part of a question counts as not answered
REPETITION_WEIGHT = 2.0  # log odds lost by a sentence that says the same as one before it
BOILERPLATE_PENALTY = 6.0
SHORTEST_SENTENCE = 4  # words; less is a number of a list or a heading that lost its line
# Log odds gained by a sentence that says what the paper does: in a list, and for a paper the question does not name.
LIST_BONUS, INTRODUCTION_BONUS = 4.0, 1.5

BOILERPLATE = re.compile(  # a sentence that only says where the code is
    r"https?://|\bwww\.|\b(?:code|models?|data|project page)\b.{0,40}\b(?:available|released)\b", re.I
)
_POINTS_BACK = re.compile(r"\b(?:it|its|they|their|them|this|that|these|those|each|both|again)\b", re.I)
_ASKS_WHERE = re.compile(r"\b(?:code|github|url|link|website|repository|open[- ]source|available|download)\b", re.I)
_CONTRIBUTION = re.compile(
    r"\b(?:we|this (?:paper|work|article|study|survey|research)|in this (?:paper|work|article|study|survey))\b.{0,60}?"
    r"\b(?:propos|introduc|present|develop|design|describ|investigat|stud(?:y|ies)|review|survey|explor|show|aims?|provid|"
    r"build)"
    r"|\b(?:is|are) (?:proposed|introduced|presented|developed|designed|described)\b|\b(?:dubbed|named|called|termed)\b"
    r"|\bour (?:proposed |novel |new )?(?:method|approach|framework|model|system|algorithm|work|paper|study)\b"
    r"|\bthis (?:paper|work|article|study|research) (?:focus|address|tackl|consider|us)",
    re.I,
)


def gather(
    query: Query, found: Sequence[tuple[Hit, Reading]], form: Form, *, alone: bool = True
) -> list[PaperEvidence]:
    """Return the evidence in each paper that was read, in the order given.

    Args:
        query: The question.
        found: The papers, with what the reader made of them.
        form: What the answer will be.
        alone: Whether the question stands alone. One that does and calls no paper by its name asks for a paper that its
            asker does not know, so the sentence that says what the paper does is worth more.
    """
    return [_evidence(query, hit, reading, form, alone=alone) for hit, reading in found]


def gather_parts(
    evidence: PaperEvidence, parts: Sequence[Query], reader: EvidenceReader
) -> tuple[PaperEvidence, list[str]]:
    """Read a paper for each part of a question, so that every part gets its sentence.

    Args:
        evidence: What was found for the whole question.
        parts: The parts, as questions of their own.
        reader: Reads them.

    Returns:
        The evidence, in which a sentence counts as much as it does for its best answered part; and the parts that the
        paper does not answer. A part that points back ("how is it shown?") cannot be judged alone and is never among
        them; nor is any if the paper seems to answer none, for the whole question was judged answerable.
    """
    stored = evidence.hit.stored
    readings = [reader.judge(part, [stored])[0] for part in parts]
    lacking = [
        part.text
        for part, reading in zip(parts, readings, strict=True)
        if reading.answerable < UNANSWERED and not _POINTS_BACK.search(part.text)
    ]
    priors = evidence.scores - evidence.reading.evidence
    answered = [reading.evidence for reading in readings if reading.answerable >= UNANSWERED]
    best = np.maximum.reduce([evidence.reading.evidence, *answered])
    joined = replace(evidence.reading, evidence=best)
    scores = (best + priors).astype(np.float32)
    whole = replace(evidence, reading=joined, scores=scores, order=_order(scores, stored.sentence_vectors))
    return whole, lacking if len(lacking) < len(parts) else []


def _evidence(query: Query, hit: Hit, reading: Reading, form: Form, *, alone: bool) -> PaperEvidence:
    stored = hit.stored
    sentences = [stored.paper.abstract[start:end] for start, end in stored.sentences]
    scores = (reading.evidence + _priors(query.text, sentences, _bonus(query, hit, form, alone))).astype(np.float32)
    return PaperEvidence(hit, reading, scores, _order(scores, stored.sentence_vectors))


def _bonus(query: Query, hit: Hit, form: Form, alone: bool) -> float:
    """Return what a sentence gains that says what the paper does."""
    if form is Form.LIST:
        return LIST_BONUS
    unknown = form is Form.SINGLE and alone and not names_in_title(hit.stored.paper, query.text)
    return INTRODUCTION_BONUS if unknown else 0.0


def _order(scores: Vectors, vectors: Vectors) -> tuple[int, ...]:
    """Order greedily: a sentence loses as much as it resembles one before it."""
    alike = vectors @ vectors.T
    order: list[int] = []
    while len(order) < len(scores):
        left = scores.astype(np.float64)
        if order:
            left = left - REPETITION_WEIGHT * np.max(alike[:, order], axis=1)
            left[order] = -np.inf
        order.append(int(np.argmax(left)))
    return tuple(order)


def _priors(question: str, sentences: Sequence[str], bonus: float) -> npt.NDArray[np.float32]:
    """What speaks for or against a sentence whatever the question's words, log odds, float32, shape (sentences,)."""
    priors = np.zeros(len(sentences), dtype=np.float32)
    for number, sentence in enumerate(sentences):
        beside_the_point = BOILERPLATE.search(sentence) and not _ASKS_WHERE.search(question)
        if beside_the_point or len(sentence.split()) < SHORTEST_SENTENCE:
            priors[number] -= BOILERPLATE_PENALTY
        if _CONTRIBUTION.search(sentence):
            priors[number] += bonus
    return priors
