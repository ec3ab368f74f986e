"""Choose the papers an answer is made of. Writes nothing.

Papers that are called by name are all taken. Otherwise a single answer comes from the best paper, and a list from the
papers that come near the best one, in the search and in the reader's judgement. A comparison takes the paper that best
complements the first: the one that adds most of the question's words, if it adds enough; else one paper does the
comparing itself, and the answer is a single one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..evidence.reader import PaperEvidence
from ..names import names_in_title
from ..question import Form
from ..retrieval import Query

# A paper belongs in a list if its score in the search and the reader's log odds, weighted, reach this share of the best
# paper's.
LIST_CUTOFF = 0.7
LIST_RELEVANT_WEIGHT = 0.2
LIST_ANSWERABLE_WEIGHT = 0.03
MAX_COMPARED = 4
COMPLEMENT_GAIN = 0.1  # share of the question's words, weighted by rarity, that a second paper must add


@dataclass(frozen=True, slots=True)
class Selection:
    """What an answer will be made of.

    Attributes:
        form: The form of the answer.
        papers: Evidence of the papers to cite, best first.
    """

    form: Form
    papers: tuple[PaperEvidence, ...]


def select(form: Form, query: Query, evidence: Sequence[PaperEvidence], max_papers: int) -> Selection:
    """Choose papers for an answer of the given form.

    Args:
        form: What the question asks for.
        query: The question.
        evidence: Evidence of the retrieved papers, best paper first.
        max_papers: The most a list holds.
    """
    called = [found for found in evidence if names_in_title(found.hit.stored.paper, query.text)]
    if len(called) > 1 and form is not Form.LIST:
        return Selection(Form.COMPARISON, tuple(called[:MAX_COMPARED]))
    if not evidence or form is Form.SINGLE:
        return Selection(Form.SINGLE, tuple(evidence[:1]))
    if form is Form.COMPARISON:
        second = _complement(query, evidence)
        return Selection(form, (evidence[0], second)) if second else Selection(Form.SINGLE, tuple(evidence[:1]))
    best = max(map(_belonging, evidence))
    near = [found for found in evidence if _belonging(found) >= LIST_CUTOFF * best][:max_papers] or list(evidence[:1])
    return Selection(Form.LIST if len(near) > 1 else Form.SINGLE, tuple(near))


def _belonging(found: PaperEvidence) -> float:
    """How much a paper belongs in a list, about 0 to 3."""
    reading = found.reading
    return found.hit.fused + LIST_RELEVANT_WEIGHT * reading.relevant + LIST_ANSWERABLE_WEIGHT * reading.answerable


def _complement(query: Query, evidence: Sequence[PaperEvidence]) -> PaperEvidence | None:
    """Return the paper that, with the first, covers the question best; None if none adds enough."""
    first = evidence[0].hit.stored.terms
    alone = query.coverage(first)

    def worth(found: PaperEvidence) -> float:
        gain = query.coverage(first | found.hit.stored.terms) - alone
        return found.hit.source.score + 2 * gain if gain >= COMPLEMENT_GAIN else 0.0

    best = max(evidence[1:], key=worth, default=None)
    return best if best is not None and worth(best) > 0 else None
