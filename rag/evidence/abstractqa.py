"""Read labelled abstracts: questions with the sentences that answer them, and claims. Trains and scores nothing.

The form, JSON Lines, one abstract per line (``a``, the written answer, may be left out)::

    {"id": "arxiv:2505.08255", "category": "cs.CR", "title": "...", "sentences": ["...", "..."],
     "questions":    [{"q": "...", "kind": "why", "sents": [4], "also": [3], "a": "..."}],
     "answerable2":  [{"q": "...", "sents": [2], "also": [], "a": "..."}],
     "unanswerable":  [{"q": "...", "near": [8]}],
     "unanswerable2": [{"q": "...", "near": [6]}],
     "claim_true":  "...", "claim_sents":  [7], "claim_true2": "...", "claim_true2_sents": [3],
     "claim_false": "...", "claim_edit": "...", "openq": "..."}

``sents`` are the numbers of the sentences that answer (from 0), ``also`` those that are partly relevant, ``near`` the
sentence that tempts. ``claim_edit`` is ``claim_true`` with the smallest change that makes it wrong. ``openq`` is what
someone who does not know the paper would search for.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from index.errors import EvalDataError
from index.paper import Paper

_Text = Annotated[str, Field(pattern=r"\S")]
_Numbers = tuple[Annotated[int, Field(ge=0)], ...]
_CONFIG = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class Answerable:
    """A question the abstract answers.

    Attributes:
        q: The question.
        sents: Numbers of the sentences that answer it.
        also: Numbers of sentences that are partly relevant; they count neither way.
        a: The answer in one written sentence; "" if there is none.
        kind: What is asked for ("result", "method", …); "" if not told.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    q: _Text
    sents: Annotated[_Numbers, Field(min_length=1)]
    also: _Numbers = ()
    a: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Unanswerable:
    """A question on the abstract's topic that it does not answer, with the sentences that tempt."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    q: _Text
    near: _Numbers = ()


@dataclass(frozen=True, slots=True)
class LabelledAbstract:
    """One abstract with everything that was written about it; see the head of this module for the fields."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    id: _Text
    title: _Text
    sentences: Annotated[tuple[_Text, ...], Field(min_length=1)]
    questions: tuple[Answerable, ...]
    claim_true: _Text
    claim_sents: Annotated[_Numbers, Field(min_length=1)]
    claim_edit: _Text
    claim_false: _Text
    category: str = ""
    answerable2: tuple[Answerable, ...] = ()
    unanswerable: tuple[Unanswerable, ...] = ()
    unanswerable2: tuple[Unanswerable, ...] = ()
    claim_true2: str = ""
    claim_true2_sents: _Numbers = ()
    openq: str = ""

    @property
    def answerables(self) -> tuple[Answerable, ...]:
        """Every question it answers."""
        return self.questions + self.answerable2

    @property
    def unanswerables(self) -> tuple[Unanswerable, ...]:
        """Every written question it does not answer."""
        return self.unanswerable + self.unanswerable2

    @property
    def true_claims(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The claims it supports, each with the sentences that do."""
        first = ((self.claim_true, self.claim_sents),)
        return (*first, (self.claim_true2, self.claim_true2_sents)) if self.claim_true2_sents else first

    def paper(self) -> Paper:
        """Return it as a paper; its abstract is the sentences, joined by one space."""
        return Paper(self.id, self.title, " ".join(self.sentences))


_LINE = TypeAdapter(LabelledAbstract)


def load_abstracts(path: str | Path) -> list[LabelledAbstract]:
    """Read every abstract of a file, in order; blank lines are passed over.

    Raises:
        EvalDataError: If the file cannot be read, holds no abstract, or a line is not of the form above or has the id
            of another. The message names file, line and field.
    """
    path = Path(path)
    try:
        # Not splitlines(): a JSON text may hold line separators other than "\n".
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as exc:
        raise EvalDataError(f"{path} cannot be read: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise EvalDataError(f"{path} is not UTF-8 text ({exc.reason}). Save it as UTF-8 JSON Lines.") from exc
    abstracts: dict[str, LabelledAbstract] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        abstract = _parse(line, where)
        if abstract.id in abstracts:
            raise EvalDataError(f"{where}, field id: {abstract.id!r} was there before. Give each abstract its own id.")
        abstracts[abstract.id] = abstract
    if not abstracts:
        raise EvalDataError(f"{path} holds no abstracts. Write one JSON object per line.")
    return list(abstracts.values())


def _parse(line: str, where: str) -> LabelledAbstract:
    try:
        abstract = _LINE.validate_json(line)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise EvalDataError(f"{where}, field {field or 'all'}: {first['msg']}") from exc
    numbers = [
        *((f"sents or also of {question.q!r}", question.sents + question.also) for question in abstract.answerables),
        *((f"near of {question.q!r}", question.near) for question in abstract.unanswerables),
        ("claim_sents", abstract.claim_sents),
        ("claim_true2_sents", abstract.claim_true2_sents),
    ]
    for field, used in numbers:
        if any(number >= len(abstract.sentences) for number in used):
            raise EvalDataError(
                f"{where}, field {field}: the abstract has {len(abstract.sentences)} sentences, counted from 0, "
                f"and sentence {max(used)} is named"
            )
    for question in abstract.answerables:
        if both := sorted({*question.sents} & {*question.also}):
            raise EvalDataError(
                f"{where}, field also of {question.q!r}: sentence {both[0]} is in sents too. Name it in one of them."
            )
    if bool(abstract.claim_true2) != bool(abstract.claim_true2_sents):
        raise EvalDataError(f"{where}, field claim_true2: it and claim_true2_sents go together, and one is missing")
    return abstract
