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
INTRODUCTION_BONUS = 1.0
CONTRIBUTION_BONUS = {Form.LIST: 2.0, Form.COMPARISON: 1.0, Form.SINGLE: 0.0}

_BOILERPLATE = re.compile(
    r"https?://|\bwww\.|\b(?:code|models?|data|project page)\b.{0,40}\b(?:available|released)\b", re.I
)
_ASKS_WHERE = re.compile(r"\b(?:code|github|url|link|website|repository|open[- ]source|available|download)\b", re.I)
_CONTRIBUTION = re.compile(
    r"\b(?:we|this (?:paper|work|article|study|survey|research)|in this (?:paper|work|article|study|survey))\b.{0,60}?"
    r"\b(?:propos|introduc|present|develop|design|describ|investigat|stud(?:y|ies)|review|survey|explor|show|aims?|provid|build)",
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
        The evidence, in which a sentence counts as much as it does for its best part; and the parts that the paper
        does not answer. If it seems to answer none, the whole question's judgement stands and none is returned.
    """
    stored = evidence.hit.stored
    readings = [reader.judge(part, [stored])[0] for part in parts]
    lacking = [part.text for part, reading in zip(parts, readings, strict=True) if reading.answerable < UNANSWERED]
    priors = evidence.scores - evidence.reading.evidence
    best = np.maximum.reduce([evidence.reading.evidence, *(reading.evidence for reading in readings)])
    joined = replace(evidence.reading, evidence=best)
    scores = (best + priors).astype(np.float32)
    whole = replace(evidence, reading=joined, scores=scores, order=_order(scores, stored.sentence_vectors))
    return whole, lacking if len(lacking) < len(parts) else []


def _evidence(query: Query, hit: Hit, reading: Reading, form: Form, *, alone: bool) -> PaperEvidence:
    stored = hit.stored
    sentences = [stored.paper.abstract[start:end] for start, end in stored.sentences]
    bonus = CONTRIBUTION_BONUS[form]
    if form is Form.SINGLE and alone and not names_in_title(stored.paper, query.text):
        bonus = INTRODUCTION_BONUS
    scores = (reading.evidence + _priors(query.text, sentences, bonus)).astype(np.float32)
    return PaperEvidence(hit, reading, scores, _order(scores, stored.sentence_vectors))


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
        beside_the_point = _BOILERPLATE.search(sentence) and not _ASKS_WHERE.search(question)
        if beside_the_point or len(sentence.split()) < SHORTEST_SENTENCE:
            priors[number] -= BOILERPLATE_PENALTY
        if _CONTRIBUTION.search(sentence):
            priors[number] += bonus
    return priors
