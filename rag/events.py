"""What happens while an answer is made, in order: ``Status Sources Status? (Token | Sentence)* Done``."""

import threading
from dataclasses import dataclass

from .answer import Answer, AnswerSentence, Source


@dataclass(frozen=True, slots=True)
class Status:
    """A stage has begun; ``message`` is for people."""

    stage: str
    message: str


@dataclass(frozen=True, slots=True)
class Sources:
    """The papers that were retrieved, before anything is written."""

    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of raw text from a language model. It is not settled: its sentence may yet be dropped."""

    text: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A settled sentence with its citations; ``index`` counts from 0."""

    index: int
    sentence: AnswerSentence


@dataclass(frozen=True, slots=True)
class Done:
    """The whole answer; always the last event."""

    answer: Answer


Event = Status | Sources | Token | Sentence | Done


class CancelToken:
    """Stops a running answer from another thread. The stream then ends with what was settled so far."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """Ask the answer to stop; it does before its next token or sentence."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether :meth:`cancel` was called."""
        return self._event.is_set()
