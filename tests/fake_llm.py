"""A language model that writes what it is told to, piece by piece, and keeps what it was given."""

import time
from collections.abc import Generator, Sequence
from typing import Any

from llama_index.core.base.llms.types import CompletionResponse, CompletionResponseGen, LLMMetadata
from llama_index.core.llms import CustomLLM

from index.errors import GenerationError
from rag.events import CancelToken
from rag.llm.model import Messages, likeness

PIECE = 7  # characters: pieces that respect neither words nor markers


class ScriptedLLM:
    """Writes its replies in turn, each as a whole; one of at least the tokens that were allowed counts as cut.

    Args:
        replies: One text per call; the last one is repeated for ever.
        window: Most characters of prompt and answer together.
        delay_s: Pause before each piece.
        fails_after: Characters after which it runs out of memory; None for never.
        prompt_end: What its chat template ends every prompt with.
        concurrent: How many answers it writes at a time.

    Attributes:
        prompts: What it was given, in order.
        pieces: How many pieces it has yielded.
        running: How many answers it is writing now.
        most_running: The most that it was writing at a time.
    """

    name = "scripted"

    def __init__(
        self,
        *replies: str,
        window: int | None = None,
        delay_s: float = 0.0,
        fails_after: int | None = None,
        prompt_end: str = "",
        concurrent: int = 1,
    ) -> None:
        self._replies = list(replies)
        self.window = window
        self.concurrent = concurrent
        self._delay_s = delay_s
        self._fails_after = fails_after
        self._prompt_end = prompt_end
        self.prompts: list[str] = []
        self.pieces = 0
        self.running = self.most_running = 0

    def prompt(self, messages: Messages) -> str:
        return likeness(messages) + self._prompt_end

    def count_tokens(self, text: str) -> int:
        return len(text)

    def stream(
        self, messages: Messages, max_new_tokens: int, cancel: CancelToken, papers: int = 0
    ) -> Generator[str, None, bool]:
        self.prompts.append(self.prompt(messages))
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            for start in range(0, len(reply), PIECE):
                if cancel.cancelled:
                    return False
                if self._fails_after is not None and start >= self._fails_after:
                    raise GenerationError("The language model scripted failed: out of memory.")
                time.sleep(self._delay_s)
                self.pieces += 1
                yield reply[start : start + PIECE]
            return self.count_tokens(reply) >= max_new_tokens
        finally:
            self.running -= 1


class ScriptedCustomLLM(CustomLLM):
    """The same as a llama-index model: what a user of that library would bring along."""

    replies: Sequence[str]
    asked: list[str] = []  # noqa: RUF012 - a field of a pydantic model, copied for each

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(context_window=100_000, num_output=400, model_name="scripted-custom")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text="".join(piece.delta or "" for piece in self.stream_complete(prompt)))

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        self.asked.append(prompt)
        reply, text = self.replies[min(len(self.asked), len(self.replies)) - 1], ""
        for start in range(0, len(reply), PIECE):
            text += reply[start : start + PIECE]
            yield CompletionResponse(text=text, delta=reply[start : start + PIECE])
