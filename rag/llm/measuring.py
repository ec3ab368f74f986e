"""A language model that counts what another one writes and how long it takes. Writes nothing itself."""

import time
from collections.abc import Generator
from dataclasses import dataclass

from index.errors import GenerationError

from ..events import CancelToken
from .model import LanguageModel, Messages


@dataclass(slots=True)
class Generation:
    """One text that a model wrote.

    Attributes:
        tokens: How many tokens it has, by the model's own count.
        first_s: Seconds to its first piece, the reading of the prompt included; None if none came.
        total_s: Seconds to its end. What the reader did between two pieces is part of it.
        failure: Why it failed, for people; "" if it did not.
    """

    tokens: int = 0
    first_s: float | None = None
    total_s: float = 0.0
    failure: str = ""

    @property
    def tokens_per_s(self) -> float | None:
        """Tokens written per second after the first piece came; None where there is nothing to measure."""
        if self.first_s is None or self.tokens < 2 or self.total_s <= self.first_s:
            return None
        return (self.tokens - 1) / (self.total_s - self.first_s)


class MeasuredModel:
    """Hands everything on to a model, and keeps a record of each generation.

    Attributes:
        generations: The records, oldest first.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self.generations: list[Generation] = []

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    @property
    def window(self) -> int | None:
        """The model's window, in tokens."""
        return self._model.window

    @property
    def concurrent(self) -> int:
        """How many answers the model may write at the same time."""
        return self._model.concurrent

    def prompt(self, messages: Messages) -> str:
        """Return the model's prompt."""
        return self._model.prompt(messages)

    def count_tokens(self, text: str) -> int:
        """Return the model's count."""
        return self._model.count_tokens(text)

    def stream(
        self, messages: Messages, max_new_tokens: int, cancel: CancelToken, papers: int = 0
    ) -> Generator[str, None, bool]:
        """Yield what the model writes; see :meth:`rag.llm.model.LanguageModel.stream`."""
        record = Generation()
        self.generations.append(record)
        began, written = time.perf_counter(), ""
        pieces = self._model.stream(messages, max_new_tokens, cancel, papers)
        try:
            while True:
                try:
                    piece = next(pieces)
                except StopIteration as end:
                    return bool(end.value)
                if record.first_s is None:
                    record.first_s = time.perf_counter() - began
                written += piece
                yield piece
        except GenerationError as exc:
            record.failure = str(exc)
            raise
        finally:
            record.total_s = time.perf_counter() - began
            pieces.close()
            record.tokens = self._model.count_tokens(written) if written else 0
