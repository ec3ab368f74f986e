"""Read drafts: answers as a language model could have written them, of which it is known what is true. Asks nothing.

The form is JSON Lines, one draft per line::

    {"id": "q1", "set": "tuned", "true": [{"text": "GENet is 6.4 times as fast.", "evidence": [0]}],
     "invented": {"text": "GENet was trained on TPUs.", "kind": "entity"}}

``id`` is a question of a file of questions; ``evidence`` are places in that question's evidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from index.errors import EvalDataError

from .dataset import Question
from .lines import read_values

_Text = Annotated[str, Field(pattern=r"\S")]


@dataclass(frozen=True, slots=True)
class TrueSentence:
    """A sentence that evidence bears out.

    Attributes:
        text: The sentence, without markers.
        evidence: The passages of the question's evidence that it rests on, counted from 0.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    text: _Text
    evidence: tuple[Annotated[int, Field(ge=0)], ...]


@dataclass(frozen=True, slots=True)
class InventedSentence:
    """A sentence that nothing in the collection bears out.

    Attributes:
        text: The sentence.
        kind: What is wrong with it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    text: _Text
    kind: _Text


@dataclass(frozen=True, slots=True)
class DraftAnswer:
    """An answer to one question.

    Attributes:
        id: The question.
        set: Whether Citewell's rules were made with it in view, "tuned", or not, "held-out".
        true: What evidence bears out, in order.
        invented: One sentence more.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    id: _Text
    set: Literal["tuned", "held-out"]
    true: tuple[TrueSentence, ...]
    invented: InventedSentence


_DRAFT = TypeAdapter(DraftAnswer)


def load_drafts(path: str | Path, questions: Sequence[Question]) -> list[tuple[Question, DraftAnswer]]:
    """Read every draft of a file with its question, in order.

    Raises:
        EvalDataError: If the file cannot be read, holds no draft, or a line is not of the form above or does not fit
            the questions. The message names file, line and field.
    """
    path, by_id = Path(path), {question.id: question for question in questions}
    found = []
    for where, draft in read_values(path, _DRAFT):
        question = by_id.get(draft.id)
        if question is None:
            raise EvalDataError(f"{where}, field id: there is no question {draft.id!r}. Name the file it is in.")
        for sentence in draft.true:
            if not sentence.evidence or max(sentence.evidence) >= len(question.evidence):
                raise EvalDataError(
                    f"{where}, field evidence: {list(sentence.evidence)}, and question {draft.id} has "
                    f"{len(question.evidence)} passages, counted from 0"
                )
        found.append((question, draft))
    if not found:
        raise EvalDataError(f"{path} holds no drafts. Write one JSON object per line.")
    return found
