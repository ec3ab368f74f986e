"""Read a file of questions with their expected answers. Does not look into a collection and scores nothing.

The form is JSON Lines, one question per line::

    {"id": "q1", "kind": "factoid", "question": "how fast is GENet?", "papers": ["Neural Architecture ..."],
     "evidence": ["GENet is up to 6.4 times faster"], "answer": "6.4 times", "must_include": ["6.4"]}

``history`` (earlier turns of a chat) and ``neutral`` (titles that count neither way) may be left out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from index.digest import file_sha256
from index.errors import EvalDataError

from .lines import read_lines

UNANSWERABLE = "unanswerable"

_Text = Annotated[str, Field(pattern=r"\S")]
_FACT = r"^[^|]*[^|\s][^|]*(\|[^|]*[^|\s][^|]*)*$"  # an empty alternative would be found in every answer


@dataclass(frozen=True, slots=True)
class Turn:
    """One earlier message of a chat."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    role: Literal["user", "assistant"]
    content: _Text


@dataclass(frozen=True, slots=True)
class Question:
    """One question and what a good answer to it holds.

    Attributes:
        id: Name of the question, unique in its file.
        kind: Group the question is reported under; "unanswerable" if and only if ``papers`` is empty.
        question: What is asked.
        papers: Titles of the gold papers, which an answer should cite.
        evidence: Passages of their abstracts that hold the answer: sentences or parts of sentences.
        answer: A reference answer for people; nothing is measured against it.
        must_include: Key facts. Each is one text, or several alternatives separated by ``|``.
        history: Earlier turns of the chat, oldest first.
        neutral: Titles of borderline papers: citing them is neither right nor wrong.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    id: _Text
    kind: _Text
    question: _Text
    papers: tuple[_Text, ...]
    evidence: tuple[_Text, ...]
    answer: str
    must_include: tuple[Annotated[str, Field(pattern=_FACT)], ...]
    history: tuple[Turn, ...] = ()
    neutral: tuple[_Text, ...] = ()

    @property
    def answerable(self) -> bool:
        """Whether the collection answers the question."""
        return bool(self.papers)


_QUESTION = TypeAdapter(Question)


def load_questions(path: str | Path) -> list[Question]:
    """Read every question of a file, in order; blank lines are passed over.

    Raises:
        EvalDataError: If the file cannot be read, holds no question, or a line is not of the form above. The
            message names file, line and field.
    """
    path = Path(path)
    questions: list[Question] = []
    seen: dict[str, int] = {}
    for number, line in read_lines(path):
        question = _parse(line, f"{path}, line {number}")
        if question.id in seen:
            raise EvalDataError(
                f"{path}, line {number}, field id: {question.id!r} is already the id of line {seen[question.id]}. "
                "Give each question an id of its own."
            )
        seen[question.id] = number
        questions.append(question)
    if not questions:
        raise EvalDataError(f"{path} holds no questions. Write one JSON object per line.")
    return questions


def dataset_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file of questions, in hexadecimal.

    Raises:
        EvalDataError: If the file cannot be read.
    """
    try:
        return file_sha256(Path(path))
    except OSError as exc:
        raise EvalDataError(f"{path} cannot be read: {exc.strerror or exc}") from exc


def _parse(line: str, where: str) -> Question:
    try:
        question = _QUESTION.validate_json(line)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        place = f"{where}, field {field}" if field else where
        raise EvalDataError(f"{place}: {_reason(first['type'], first['msg'])}") from exc
    if question.answerable == (question.kind == UNANSWERABLE):
        raise EvalDataError(
            f"{where}, field papers: kind is {question.kind!r} and {len(question.papers)} gold papers are named. "
            f"Name none for kind {UNANSWERABLE!r}, and at least one for every other kind."
        )
    for field in ("evidence", "must_include"):
        if not question.answerable and getattr(question, field):
            raise EvalDataError(f"{where}, field {field}: must be empty for kind {UNANSWERABLE!r}")
    return question


def _reason(error_type: str, message: str) -> str:
    if error_type == "string_pattern_mismatch":
        return "must not be empty, and neither may an alternative between | be"
    if error_type in ("unexpected_keyword_argument", "extra_forbidden"):
        return "unknown field"
    return message
