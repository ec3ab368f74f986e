"""Number the cited papers and make citations as exact spans. Decides nothing about support."""

from index.paper import Paper

from .answer import AnswerSentence, Citation


class Markers:
    """Gives each paper one number, in order of first appearance.

    Args:
        taken: Numbers already given in this conversation, by paper id; they stay as they are.
    """

    def __init__(self, taken: dict[str, int] | None = None) -> None:
        self._numbers = dict(taken or {})
        self._used: dict[str, int] = {}

    def number(self, paper_id: str) -> int:
        """Return the paper's number, giving it the next one if it has none."""
        number = self._numbers.setdefault(paper_id, max(self._numbers.values(), default=0) + 1)
        self._used[paper_id] = number
        return number

    @property
    def used(self) -> dict[str, int]:
        """The numbers asked for in this answer, by paper id."""
        return dict(self._used)


def cite(paper: Paper, span: tuple[int, int], markers: Markers, support: float) -> Citation:
    """Return the citation of ``paper.abstract[start:end]``; the offsets are checked, never guessed.

    Raises:
        ValueError: If the span is not inside the abstract.
    """
    start, end = span
    if not 0 <= start < end <= len(paper.abstract):
        raise ValueError(f"span {span} is outside the abstract of {paper.id} ({len(paper.abstract)} characters)")
    return Citation(markers.number(paper.id), paper.id, paper.abstract[start:end], start, end, support)


def quoted_sentence(paper: Paper, span: tuple[int, int], markers: Markers, label: str = "") -> AnswerSentence:
    """Return an answer sentence that is the quote itself; it is its own full support."""
    citation = cite(paper, span, markers, 1.0)
    return AnswerSentence(citation.quote, 1.0, (citation,), label)
