"""One question and what has come of it so far, as data. Neither asks nor renders."""

from collections.abc import Iterator
from dataclasses import dataclass

from rag.answer import Answer, AnswerSentence, Citation, DroppedSentence, Source


@dataclass(frozen=True, slots=True)
class Turn:
    """One question of a conversation with its answer, settled or still being written.

    Attributes:
        number: Place in the conversation, from 1; part of every HTML id.
        question: As it was asked.
        where: The filter it was asked with, "" for none.
        progress: What is being done, for people; "" once it is over.
        sources: The papers that were retrieved, best first.
        sentences: The settled sentences, in order.
        corrected: Which of them, counted from 0, a language model wrote with other citations or none.
        dropped: The sentences that were left out so far.
        draft: Raw model text after the last settled sentence; it may yet be dropped.
        answer: The whole answer once it is there.
        error: Why there is no answer, for people; "" when nothing failed.
    """

    number: int
    question: str
    where: str = ""
    progress: str = ""
    sources: tuple[Source, ...] = ()
    sentences: tuple[AnswerSentence, ...] = ()
    corrected: frozenset[int] = frozenset()
    dropped: tuple[DroppedSentence, ...] = ()
    draft: str = ""
    answer: Answer | None = None
    error: str = ""

    @property
    def live(self) -> bool:
        """Whether the answer is still being made."""
        return self.answer is None and not self.error

    @property
    def citations(self) -> Iterator[Citation]:
        """Every citation of every settled sentence, in order of appearance."""
        return (citation for sentence in self.sentences for citation in sentence.citations)


def mark_id(turn: Turn, citation: Citation) -> str:
    """Return the HTML id of the first mark of a citation in the sources panel.

    The same span of the same paper has one id, however many sentences cite it.
    """
    return f"cw-{turn.number}-{citation.marker}-{citation.start}-{citation.end}"


def paper_anchor(turn: Turn, paper_id: str) -> str:
    """Return the HTML id of a paper in the sources panel, "" when it was not retrieved."""
    ids = [source.paper.id for source in turn.sources]
    return f"cw-{turn.number}-paper-{ids.index(paper_id)}" if paper_id in ids else ""
