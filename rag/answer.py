"""What an answer is: sentences, citations, sources, and why. Decides nothing and renders nothing itself.

Every value is a frozen dataclass. ``to_dict`` and ``from_dict`` are inverse to each other; the form is
versioned by :data:`SCHEMA_VERSION`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from index.paper import Paper

SCHEMA_VERSION = 1

Status = Literal["answered", "partial", "refused"]


@dataclass(frozen=True, slots=True)
class Citation:
    """One exact quote that an answer sentence rests on.

    Attributes:
        marker: The number shown as ``[1]``; one number per paper.
        paper_id: The cited paper.
        quote: ``paper.abstract[start:end]``, computed by code.
        start: First character of the quote in the abstract.
        end: One past its last character.
        support: How well the quote supports the sentence, 0 to 1. A score, not a proof.
    """

    marker: int
    paper_id: str
    quote: str
    start: int
    end: int
    support: float


@dataclass(frozen=True, slots=True)
class AnswerSentence:
    """One sentence of an answer with its citations (at least one).

    Attributes:
        text: The sentence, without markers.
        support: The best support of its citations, 0 to 1.
        citations: What it rests on, in order of marker.
        label: Name of the paper to show in front of the sentence, "" for none.
    """

    text: str
    support: float
    citations: tuple[Citation, ...]
    label: str = ""


@dataclass(frozen=True, slots=True)
class DroppedSentence:
    """A sentence a model wrote that no retrieved abstract supports.

    Attributes:
        text: What the model wrote.
        reason: Why it was removed, for people.
        support: The best support that was found, 0 to 1.
    """

    text: str
    reason: str
    support: float


@dataclass(frozen=True, slots=True)
class Source:
    """A paper that was retrieved for a question, and why.

    Attributes:
        paper: The paper itself, so that an answer can be shown and exported without its index.
        rank: Place after fusion, from 1.
        score: Fused score; higher is better, about 0 to 2.7.
        dense_score: Cosine of the question and the paper's nearest passage, -1 to 1.
        sentence_score: Cosine of the question and the paper's nearest sentence, -1 to 1.
        keyword_score: Share of the question's words found in the paper, weighted by rarity, 0 to 1.
        dense_rank: Place by meaning alone, from 1 (the best over the wordings searched); None when not a candidate.
        keyword_rank: Place by keywords alone, likewise.
        marker: The paper's number in the answer; None when it is not cited.
    """

    paper: Paper
    rank: int
    score: float
    dense_score: float
    sentence_score: float
    keyword_score: float
    dense_rank: int | None
    keyword_rank: int | None
    marker: int | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """How an answer came about.

    Attributes:
        standalone_question: The question that was searched, with what it needed from the history.
        answerer: "evidence", or the language model's name.
        embed_model: The embedding model's name.
        answerability: The refusal decision's score, 0 to 1.
        threshold: Below this score the question is refused.
        prompt: What the language model was given, "" without one.
        notes: What a reader should know (a fallback, a stop), for people.
        timings_ms: Milliseconds per stage. Not part of equality.
    """

    standalone_question: str = ""
    answerer: str = "evidence"
    embed_model: str = ""
    answerability: float = 0.0
    threshold: float = 0.0
    prompt: str = ""
    notes: tuple[str, ...] = ()
    timings_ms: Mapping[str, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question.

    Attributes:
        question: As it was asked.
        status: "answered"; "partial" when it was stopped early or only part of the question is answered;
            "refused" when the papers do not answer it.
        sentences: What is said; empty if and only if refused (or stopped before the first sentence).
        sources: Papers used or considered, best first.
        nearest: On refusal, the closest papers; empty otherwise.
        dropped: Model sentences that were removed because nothing supports them.
        reason: On refusal, or when partial, why; "" otherwise.
        trace: How the answer came about.
    """

    question: str
    status: Status
    sentences: tuple[AnswerSentence, ...] = ()
    sources: tuple[Source, ...] = ()
    nearest: tuple[Paper, ...] = ()
    dropped: tuple[DroppedSentence, ...] = ()
    reason: str = ""
    trace: Trace = field(default_factory=Trace)

    @property
    def text(self) -> str:
        """The answer as plain text with ``[1]`` markers; on refusal, the reason."""
        from .render import answer_text

        return answer_text(self)

    @property
    def cited(self) -> tuple[Source, ...]:
        """The sources that are cited, in order of marker."""
        cited = [source for source in self.sources if source.marker is not None]
        return tuple(sorted(cited, key=lambda source: source.marker or 0))

    def to_markdown(self) -> str:
        """Return the answer with its quotes and references as Markdown."""
        from .render import answer_markdown

        return answer_markdown(self)

    def to_bibtex(self) -> str:
        """Return the cited papers (on refusal, the nearest) as BibTeX entries."""
        from .render import bibtex

        return bibtex([source.paper for source in self.cited] or self.nearest)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as JSON values; see :meth:`from_dict`."""
        return {"schema_version": SCHEMA_VERSION, **_jsonable(asdict(self)), "text": self.text}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Answer":
        """Rebuild what :meth:`to_dict` returned.

        Raises:
            ValueError: If the form is of another schema version or a field is missing.
        """
        if data.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(f"schema_version is {data.get('schema_version')!r}, this version reads {SCHEMA_VERSION}")
        try:
            return cls(
                question=data["question"],
                status=data["status"],
                sentences=tuple(
                    AnswerSentence(
                        text=s["text"],
                        support=s["support"],
                        citations=tuple(Citation(**c) for c in s["citations"]),
                        label=s["label"],
                    )
                    for s in data["sentences"]
                ),
                sources=tuple(Source(**{**s, "paper": paper_from_dict(s["paper"])}) for s in data["sources"]),
                nearest=tuple(paper_from_dict(p) for p in data["nearest"]),
                dropped=tuple(DroppedSentence(**d) for d in data["dropped"]),
                reason=data["reason"],
                trace=Trace(**{**data["trace"], "notes": tuple(data["trace"]["notes"])}),
            )
        except (KeyError, TypeError) as exc:
            raise ValueError(f"not an answer: {exc}") from exc


def paper_from_dict(data: Mapping[str, Any]) -> Paper:
    """Rebuild a :class:`Paper` from its fields as JSON values."""
    return Paper(**{**data, "authors": tuple(data["authors"]), "tags": tuple(data["tags"])})


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    return value
