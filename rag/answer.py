"""What an answer is: sentences, citations, sources, and why. Decides nothing and renders nothing itself.

Every value is a frozen dataclass. ``to_dict`` and ``from_dict`` are inverse to each other; the form is
versioned by :data:`SCHEMA_VERSION`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from types import UnionType
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from index.paper import Paper

SCHEMA_VERSION = 3
_SINCE_2: Final = {"since": 2}  # of a field that answers saved by version 1 lack
_SINCE_3: Final = {"since": 3}

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
    """One sentence of an answer with its citations: at least one, unless ``answering.grounding`` is not "strict".

    Attributes:
        text: The sentence, without markers.
        support: The best support of its citations, 0 to 1; without any, the best that was found.
        citations: What it rests on, in order of marker.
        label: Name of the paper to show in front of the sentence, "" for none.
        highlight: Half-open span of ``text`` that is the answer itself (a number, a name), where that is sure.
        unsupported: Why no abstract supports it, where such sentences are marked; "" otherwise.
    """

    text: str
    support: float
    citations: tuple[Citation, ...]
    label: str = ""
    highlight: tuple[int, ...] | None = field(default=None, metadata=_SINCE_2)
    unsupported: str = field(default="", metadata=_SINCE_3)

    def __post_init__(self) -> None:
        """Check that the highlight is a span of the text."""
        if self.highlight is not None:
            start, end = self.highlight if len(self.highlight) == 2 else (-1, -1)
            if not 0 <= start < end <= len(self.text):
                raise ValueError(f"not an answer: highlight is {list(self.highlight)}, not a span of the text")


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
        rank: Place, from 1; after the reader has reordered the best ones, if it does.
        score: Fused score of the search, about 0 to 3, and what the reader adds to it, 0 to 2.7; higher is better.
        dense_score: Cosine of the question and the paper's nearest passage, -1 to 1.
        sentence_score: Cosine of the question and the paper's nearest sentence, -1 to 1.
        keyword_score: Share of the question's words found in the paper, weighted by rarity, 0 to 1.
        dense_rank: Place by meaning alone, from 1 (the best over the wordings searched); None when not a candidate.
        keyword_rank: Place by keywords alone, likewise.
        marker: The paper's number in the answer; None when it is not cited.
        evidence_score: How surely the evidence reader finds the question answered in it, 0 to 1; None when it was not
            read.
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
    evidence_score: float | None = field(default=None, metadata=_SINCE_2)


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
            ValueError: If it is no answer: of another schema version, or a field is missing, unknown or of another
                type. The message names the field.
        """
        if not isinstance(data, Mapping):
            raise ValueError(f"not an answer: a {type(data).__name__}, an object is needed")
        version = data.get("schema_version")
        if version not in range(1, SCHEMA_VERSION + 1):
            raise ValueError(f"schema_version is {version!r}, this version reads 1 to {SCHEMA_VERSION}")
        known = {name: value for name, value in data.items() if name not in ("schema_version", "text")}
        answer: Answer = _from_json(cls, known, "")
        return answer


def paper_from_dict(data: Mapping[str, Any]) -> Paper:
    """Rebuild a :class:`Paper` from its fields as JSON values.

    Raises:
        ValueError: If a field is missing, unknown or of the wrong type.
    """
    paper: Paper = _from_json(Paper, data, "")
    return paper


def _from_json(kind: Any, value: Any, where: str) -> Any:
    """Return a JSON value as an object of a field's type; ``where`` is its path in the whole, "" for all of it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:  # int | None
        return None if value is None else _from_json(arguments[0], value, where)
    if origin is tuple:
        _check(isinstance(value, list | tuple), where, value, "a list")
        return tuple(_from_json(arguments[0], item, f"{where}[{n}]") for n, item in enumerate(value))
    if origin is Literal:
        _check(isinstance(value, str) and value in arguments, where, value, " or ".join(arguments))
    elif origin is Mapping:
        _check(isinstance(value, Mapping), where, value, "an object")
        return {name: _from_json(arguments[1], item, f"{where}.{name}") for name, item in value.items()}
    elif is_dataclass(kind):
        return _dataclass_from_json(kind, value, where)
    elif kind is float:
        _check(isinstance(value, int | float) and not isinstance(value, bool), where, value, "a number")
    elif kind is not Any:  # str, int
        needed = {str: "a text", int: "a whole number"}[kind]
        _check(isinstance(value, kind) and not isinstance(value, bool), where, value, needed)
    return value


def _dataclass_from_json(kind: Any, value: Any, where: str) -> Any:
    _check(isinstance(value, Mapping), where, value, "an object")
    hints, prefix = get_type_hints(kind), f"{where}." if where else ""
    later = {f.name: f.default for f in fields(kind) if "since" in f.metadata}
    value = {**later, **value}
    if differing := sorted(map(str, hints.keys() ^ value.keys())):
        what = "is missing" if differing[0] in hints else "is not known"
        raise ValueError(f"not an answer: {prefix}{differing[0]} {what}")
    return kind(**{name: _from_json(hints[name], item, f"{prefix}{name}") for name, item in value.items()})


def _check(right: bool, where: str, value: Any, needed: str) -> None:
    if not right:
        shown = repr(value)
        raise ValueError(f"not an answer: {where or 'it'} is {shown[:40]}{'…' * (len(shown) > 40)}, not {needed}")


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    return value
