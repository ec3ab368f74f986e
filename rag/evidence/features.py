"""What can be told of a question and a sentence without a network: similarity, shared words, numbers, direction.

The reader's heads get these beside the token states, so that training starts from similarity and not from zero, and so
that numbers and negations, which a small model reads past, are counted by code.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from index.embedding.encoder import Vectors

from ..claims import names, negation, numbers, turned_round
from ..retrieval import term_set

SENTENCE_FEATURES = 9
ABSTRACT_FEATURES = 4
_LONG = 40  # words


def sentence_features(
    text: str, weights: Mapping[str, float], similarity: Vectors, title: str, sentences: Sequence[str]
) -> Vectors:
    """Return what speaks for each sentence.

    Args:
        text: A question or a claim.
        weights: Inverse document frequency of its terms.
        similarity: Cosine of ``text`` and each sentence, float32, shape (sentences,).
        title: The paper's title.
        sentences: Its sentences.

    Returns:
        float32, shape (sentences, SENTENCE_FEATURES): cosine; share of the terms that the title lacks; share of all
        terms; share of the numbers that are missing; negated here and not there or the reverse; turned round
        ("higher" here, "lower" there); share of the names missing; length; place.
    """
    in_title = term_set(title)
    asked = {term: weight for term, weight in weights.items() if term not in in_title}
    total, total_asked = sum(weights.values()) or 1.0, sum(asked.values()) or 1.0
    wanted, called, negated = _numbers(text), _names(text), bool(negation(text))
    title_words = title.lower()
    rows = np.zeros((len(sentences), SENTENCE_FEATURES), dtype=np.float32)
    for at, sentence in enumerate(sentences):
        terms = term_set(sentence)
        held = _numbers(sentence)
        lowered = sentence.lower()
        rows[at] = (
            similarity[at],
            sum(weight for term, weight in asked.items() if term in terms) / total_asked,
            sum(weight for term, weight in weights.items() if term in terms) / total,
            len(wanted - held) / len(wanted) if wanted else 0.0,
            negated != _negated(sentence),
            bool(turned_round(text, sentence)),
            sum(n.lower() not in lowered and n.lower() not in title_words for n in called) / len(called)
            if called
            else 0.0,
            min(len(sentence.split()), _LONG) / _LONG,
            at / max(len(sentences) - 1, 1),
        )
    return rows


def abstract_features(weights: Mapping[str, float], rows: Vectors, title: str, sentences: Sequence[str]) -> Vectors:
    """Return what speaks for the abstract as a whole, from the rows of :func:`sentence_features`.

    Returns:
        float32, shape (ABSTRACT_FEATURES,): highest cosine; highest share of the terms that the title lacks; share of
        all terms that title and abstract hold; share of those the title lacks that the abstract holds.
    """
    in_title = term_set(title)
    held = frozenset[str]().union(*(term_set(sentence) for sentence in sentences))
    total = sum(weights.values()) or 1.0
    asked = {term: weight for term, weight in weights.items() if term not in in_title}
    total_asked = sum(asked.values())
    return np.array(
        [
            rows[:, 0].max(),
            rows[:, 1].max(),
            sum(weight for term, weight in weights.items() if term in held or term in in_title) / total,
            sum(weight for term, weight in asked.items() if term in held) / total_asked if total_asked else 1.0,
        ],
        dtype=np.float32,
    )


@lru_cache(maxsize=50_000)
def _numbers(text: str) -> frozenset[str]:
    return frozenset(numbers(text).values())


@lru_cache(maxsize=2_000)
def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names(text)))


@lru_cache(maxsize=50_000)
def _negated(sentence: str) -> bool:
    return bool(negation(sentence))
