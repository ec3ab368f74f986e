"""What happens while an answer is made: ``Sources`` first, then ``Token`` and what is settled of it, ``Done`` last.

``Status`` may come at any time. ``Sources`` comes as soon as the papers are found, and again if a language model's
wording of a follow-up question finds others. The text of the ``Token`` events between two settled sentences
(``Sentence`` or ``Dropped``) is the text of the second, unless that ends a model's thinking which had no beginning.
Sentences that no abstract supports, where they may stay, are settled after the first one that has a citation.
"""

import threading
from dataclasses import dataclass
from typing import Literal

from .answer import Answer, AnswerSentence, DroppedSentence, Source

Verdict = Literal["kept", "corrected", "unsupported"]


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
    """A piece of a language model's text, without its markers. It is not settled: its sentence may yet be dropped."""

    text: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """A settled sentence with its citations.

    Attributes:
        index: Place in the answer, from 0.
        sentence: The sentence.
        verdict: "kept" as it was written; "corrected" when the model cited other papers or none; "unsupported" when no
            abstract supports it and the setting ``answering.grounding`` lets it stay.
    """

    index: int
    sentence: AnswerSentence
    verdict: Verdict = "kept"


@dataclass(frozen=True, slots=True)
class Dropped:
    """A sentence that will not be in the answer, and why."""

    sentence: DroppedSentence


@dataclass(frozen=True, slots=True)
class Done:
    """The whole answer; always the last event."""

    answer: Answer


Event = Status | Sources | Token | Sentence | Dropped | Done


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
