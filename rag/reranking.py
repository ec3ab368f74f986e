"""Have the evidence reader read the best papers, and put them in the order it finds. Searches nothing.

The score of a paper that was read is

    fused score + 2.5 * P(relevant) + 0.2 * P(answerable)

so that the reader moves what search had close together, and a paper far behind stays there. A paper that was not read
gets the least that one which was read has got.
"""

from collections.abc import Sequence
from dataclasses import replace

from .evidence.reader import EvidenceReader, Reading, probability
from .retrieval import Hit, Query

RELEVANT_WEIGHT = 2.5
ANSWERABLE_WEIGHT = 0.2


def read(reader: EvidenceReader, query: Query, hits: Sequence[Hit], depth: int) -> list[tuple[Hit, Reading]]:
    """Read the first ``depth`` papers; each hit tells how surely it answers."""
    first = hits[:depth]
    readings = reader.judge(query, [hit.stored for hit in first])
    return [
        (replace(hit, source=replace(hit.source, evidence_score=round(probability(reading.answerable), 6))), reading)
        for hit, reading in zip(first, readings, strict=True)
    ]


def rerank(found: Sequence[tuple[Hit, Reading]], rest: Sequence[Hit]) -> tuple[list[tuple[Hit, Reading]], list[Hit]]:
    """Return what was read in its new order, and the rest; ranks and scores are set anew.

    Args:
        found: From :func:`read`.
        rest: The hits that were not read, best first.
    """
    gains = [_gain(reading) for _, reading in found]
    least = min(gains, default=0.0)
    scores = [hit.source.score + gain for (hit, _), gain in zip(found, gains, strict=True)]
    order = sorted(range(len(found)), key=lambda at: (-scores[at], at))
    ranked = []
    for rank, at in enumerate(order, start=1):
        hit, reading = found[at]
        ranked.append((replace(hit, source=replace(hit.source, rank=rank, score=round(scores[at], 6))), reading))
    others = [replace(hit, source=replace(hit.source, score=round(hit.source.score + least, 6))) for hit in rest]
    return ranked, others


def _gain(reading: Reading) -> float:
    return RELEVANT_WEIGHT * probability(reading.relevant) + ANSWERABLE_WEIGHT * probability(reading.answerable)
