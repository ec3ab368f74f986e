"""Find a question's gold papers and evidence in a collection. Does not read files and scores nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from index.errors import EvalDataError
from index.paper import Paper, normalised_title
from index.text import clean_text

from .dataset import Question


@dataclass(frozen=True, slots=True)
class Span:
    """Characters ``start`` to ``end`` (exclusive) of the abstract of ``paper_id``."""

    paper_id: str
    start: int
    end: int

    def overlaps(self, other: "Span") -> bool:
        """Whether the two share at least one character.

        Example:
            >>> Span("a", 0, 5).overlaps(Span("a", 4, 9)), Span("a", 0, 5).overlaps(Span("a", 5, 9))
            (True, False)
        """
        return self.paper_id == other.paper_id and self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Gold:
    """What a good answer to one question cites, as ids and offsets of one collection.

    Attributes:
        papers: For each gold title the ids that carry it: one, or several when the collection holds copies.
        evidence: For each passage of evidence the places it is found at, in any of these papers; at least one.
        neutral: Ids of papers that count neither way.
    """

    papers: tuple[frozenset[str], ...] = ()
    evidence: tuple[tuple[Span, ...], ...] = ()
    neutral: frozenset[str] = frozenset()

    @property
    def paper_ids(self) -> frozenset[str]:
        """The ids of all gold papers."""
        return frozenset().union(*self.papers)


def locate_gold(questions: Sequence[Question], papers: Iterable[Paper]) -> list[Gold]:
    """Return the gold of each question, in order.

    Titles agree when they do so after cleaning, without regard to case, accents and punctuation. Evidence is
    cleaned as abstracts are, then looked up word for word; it may be a part of a sentence.

    Raises:
        EvalDataError: If no paper has a named title, or no gold abstract holds the evidence. The message names
            the question.
    """
    by_title: dict[str, list[Paper]] = {}
    for paper in papers:
        by_title.setdefault(_key(paper.title), []).append(paper)
    return [_locate(question, by_title) for question in questions]


def _locate(question: Question, by_title: Mapping[str, list[Paper]]) -> Gold:
    gold = [_papers(title, "papers", question, by_title) for title in question.papers]
    neutral = [_papers(title, "neutral", question, by_title) for title in question.neutral]
    gold_papers = [paper for copies in gold for paper in copies]
    return Gold(
        papers=tuple(frozenset(paper.id for paper in copies) for copies in gold),
        evidence=tuple(_places(passage, question, gold_papers) for passage in question.evidence),
        neutral=frozenset(paper.id for copies in neutral for paper in copies),
    )


def _papers(title: str, field: str, question: Question, by_title: Mapping[str, list[Paper]]) -> list[Paper]:
    found = by_title.get(_key(title))
    if not found:
        raise EvalDataError(
            f"Question {question.id}, field {field}: no paper of the collection is called {title!r}. "
            "Add the paper or correct the title."
        )
    return found


def _places(passage: str, question: Question, papers: Sequence[Paper]) -> tuple[Span, ...]:
    wanted = clean_text(passage)
    places = tuple(span for paper in papers for span in _occurrences(wanted, paper))
    if not places:
        raise EvalDataError(
            f"Question {question.id}, field evidence: no gold abstract holds {wanted!r}. "
            "Copy the evidence from the abstract word for word."
        )
    return places


def _occurrences(wanted: str, paper: Paper) -> Iterator[Span]:
    start = paper.abstract.find(wanted) if wanted else -1
    while start >= 0:
        yield Span(paper.id, start, start + len(wanted))
        start = paper.abstract.find(wanted, start + len(wanted))


def _key(title: str) -> str:
    return normalised_title(clean_text(title))
