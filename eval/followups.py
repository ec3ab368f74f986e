"""Measure how well follow-up questions are worded to stand alone, against what people wrote. Searches nothing.

A system makes one text of a question and the conversation before it. The text is compared with a person's by its topic
words (:func:`index.terms.question_terms`): F1 = 2 · shared / (words of the one + words of the other). Spelling, order
and function words so count nothing, as in a search. Where the person left the question as it was, a system should do
the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, JsonValue, TypeAdapter

from index.errors import EvalDataError
from index.terms import question_terms
from rag.events import CancelToken
from rag.llm.model import LanguageModel
from rag.rewriting import reworded

from .lines import read_values
from .run import Bars, Dataset, Row, Run
from .standalone import standalone
from .summary import Definition, summarise

COMMAND = "followups"

History = Sequence[Mapping[str, str]]
Rewrite = Callable[[str, History], str]
"""Makes one text of a question and the messages before it, each with ``role`` and ``content``, oldest first."""

_ALTERNATING = frozenset(("cast21",))  # sources whose history holds the answers, too: question, answer, question, …
_Text = Annotated[str, Field(pattern=r"\S")]


@dataclass(frozen=True, slots=True)
class FollowUp:
    """One question of a conversation, and what a person made of it.

    Attributes:
        source: The data set it comes from; figures are given for each.
        id: Its name, unique in the file: the conversation, a mark such as "_", and the turn.
        history: What was said before, oldest first: the user's questions; in CAsT 2021 also the answers, in turn.
        utterance: The question as it was asked.
        rewrite: A person's wording of it that stands alone; the utterance itself if it does already.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    source: _Text
    id: _Text
    history: tuple[_Text, ...]
    utterance: _Text
    rewrite: _Text

    @property
    def messages(self) -> list[dict[str, str]]:
        """The history as a conversation has it."""
        roles = ("user", "assistant") if self.source in _ALTERNATING else ("user",)
        return [{"role": roles[place % len(roles)], "content": text} for place, text in enumerate(self.history)]

    @property
    def conversation(self) -> str:
        """The conversation it belongs to: its id without what follows the last mark."""
        return f"{self.source} {self.id.rstrip('0123456789')}"

    @property
    def stands_alone(self) -> bool:
        """Whether the person left it as it was."""
        return _same(self.utterance, self.rewrite)


_FOLLOW_UP = TypeAdapter(FollowUp)


def as_asked(question: str, history: History) -> str:
    """Return the question as it was asked: what any other system has to beat."""
    return question


def without_history(question: str, history: History) -> str:
    """Return what the rule makes of the question alone, which is nothing else than the question."""
    return standalone(question, [])


SYSTEMS: Mapping[str, Rewrite] = {"raw": as_asked, "standalone": standalone, "no_history": without_history}
"""The systems that are always measured; the names begin those of their measures."""


def by_model(llm: LanguageModel) -> Rewrite:
    """Return the system that lets a language model word a question, as answering does; the question where it fails to.

    Raises:
        GenerationError: While wording, if the model fails.
    """

    def rewrite(question: str, history: History) -> str:
        return (reworded(llm, question, history, CancelToken()) if history else "") or question

    return rewrite


_LABELS = {
    "raw": "the question as asked",
    "standalone": "the stand-alone question",
    "no_history": "the same without the conversation",
    "llm": "the language model's wording",
}


def load_follow_ups(path: str | Path) -> list[FollowUp]:
    """Read every row of a file, in order; blank lines are passed over.

    Raises:
        EvalDataError: If the file cannot be read, holds no row, or a line is not of the form of :class:`FollowUp`.
            The message names file, line and field.
    """
    path = Path(path)
    rows: dict[str, FollowUp] = {}
    for where, row in read_values(path, _FOLLOW_UP):
        if row.id in rows:
            raise EvalDataError(f"{where}, field id: {row.id!r} is the id of an earlier line, too.")
        rows[row.id] = row
    if not rows:
        raise EvalDataError(f"{path} holds no questions. Write one JSON object per line.")
    return list(rows.values())


def word_f1(text: str, other: str) -> float:
    """Return how far two texts agree in their topic words, 0 to 1; two texts without any agree.

    Example:
        >>> word_f1("Is it treatable?", "Is throat cancer treatable?")
        0.5
    """
    ours, theirs = set(question_terms(text)), set(question_terms(other))
    return 2 * len(ours & theirs) / (len(ours) + len(theirs)) if ours or theirs else 1.0


def run_followups(
    follow_ups: Sequence[FollowUp],
    dataset: Dataset,
    settings: Mapping[str, JsonValue],
    progress: Callable[[int, int], None] | None = None,
    *,
    systems: Mapping[str, Rewrite] = SYSTEMS,
) -> Run:
    """Let every system word every question, and compare it with the person's.

    Args:
        follow_ups: At least one question.
        dataset: Where they come from.
        settings: The settings of the run, for the record.
        progress: Called with (questions done, questions in all), first with 0.
        systems: What is measured, by name.

    Raises:
        ValueError: If there are no questions.
    """
    if not follow_ups:
        raise ValueError("there are no questions to word")
    report_progress = progress or (lambda done, total: None)
    report_progress(0, len(follow_ups))
    rows = []
    for done, asked in enumerate(follow_ups, start=1):
        rows.append(_row(asked, {name: rewrite(asked.utterance, asked.messages) for name, rewrite in systems.items()}))
        report_progress(done, len(follow_ups))
    definitions = [definition for name in systems for definition in _definitions(name)]
    drawn = [name for name in systems if any(row.scores[f"{name}_f1_depends"] is not None for row in rows)]
    return summarise(COMMAND, dataset, settings, definitions, rows, [Bars(f"{name}_f1_depends") for name in drawn])


def _row(asked: FollowUp, texts: Mapping[str, str]) -> Row:
    scores: dict[str, float | None] = {}
    for name, text in texts.items():
        f1 = word_f1(text, asked.rewrite)
        alone = asked.stands_alone
        scores[f"{name}_f1"] = f1
        scores[f"{name}_f1_depends"] = None if alone else f1
        scores[f"{name}_f1_alone"] = f1 if alone else None
        left = float(_same(text, asked.utterance))
        scores[f"{name}_left"] = left if alone else None
        # A question without a conversation before it is no feat to leave alone.
        scores[f"{name}_left_later"] = left if alone and asked.history else None
    details: dict[str, JsonValue] = {"cluster": asked.conversation, "person": asked.rewrite}
    return Row(asked.id, asked.source, asked.utterance, scores, details | dict(texts))


def _definitions(name: str) -> list[Definition]:
    label = _LABELS.get(name, name)
    kinds = [
        ("f1", f"F1 of {label}", f"{name} F1"),
        ("f1_depends", f"F1 of {label}, where the question depends", f"{name} F1 dep."),
        ("f1_alone", f"F1 of {label}, where it stands alone", ""),
        ("left", f"left alone by {label}, where it stands alone", f"{name} left"),
        ("left_later", f"left alone by {label}, where it stands alone in a conversation", f"{name} left later"),
    ]
    return [
        Definition(name=f"{name}_{kind}", label=text, column="" if name == "no_history" else column, cluster=_cluster)
        for kind, text, column in kinds
        if name in ("standalone", "llm") or not kind.startswith("left")
    ]


def _cluster(row: Row) -> str:
    return str(row.details["cluster"])


def _same(text: str, other: str) -> bool:
    """Whether two texts are one but for white space."""
    return text.split() == other.split()
