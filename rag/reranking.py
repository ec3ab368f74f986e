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

# The best of a grid on the example questions and AbstractQA's development questions (first hit 0.96 to 0.97, 0.88 to
# 0.92); round numbers.
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


def rerank(found: Sequence[tuple[Hit, Reading]], rest: Sequence[Hit]) -> tuple[list[Hit], list[tuple[Hit, Reading]]]:
    """Return all hits in their new order, with new ranks and scores, and those among them that were read.

    Args:
        found: From :func:`read`.
        rest: The hits that were not read, best first.
    """
    gains = [_gain(reading) for _, reading in found]
    scores = [hit.source.score + gain for (hit, _), gain in zip(found, gains, strict=True)]
    order = sorted(range(len(found)), key=lambda at: (-scores[at], at))
    ranked = [(_placed(found[at][0], rank, scores[at]), found[at][1]) for rank, at in enumerate(order, start=1)]
    least = min(gains, default=0.0)
    unread = [_placed(hit, rank, hit.source.score + least) for rank, hit in enumerate(rest, start=len(found) + 1)]
    return [*(hit for hit, _ in ranked), *unread], ranked


def _placed(hit: Hit, rank: int, score: float) -> Hit:
    return replace(hit, source=replace(hit.source, rank=rank, score=round(score, 6)))


def _gain(reading: Reading) -> float:
    return RELEVANT_WEIGHT * probability(reading.relevant) + ANSWERABLE_WEIGHT * probability(reading.answerable)
