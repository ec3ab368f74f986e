"""A language model that writes what it is told to, piece by piece, and keeps what it was given."""

import time
from collections.abc import Iterator, Mapping, Sequence

from index.errors import GenerationError
from rag.events import CancelToken


class ScriptedLLM:
    """Writes its replies in turn.

    Args:
        replies: One text per question.
        window: The longest prompt, in characters, that fits.
        delay_s: Pause before each piece.
        fails_after: Characters after which it runs out of memory; None for never.
        prompt_end: What its chat template ends every prompt with.
    """

    name = "scripted"

    def __init__(
        self,
        *replies: str,
        window: int = 100_000,
        delay_s: float = 0.0,
        fails_after: int | None = None,
        prompt_end: str = "",
    ) -> None:
        self._replies = list(replies)
        self._window = window
        self._delay_s = delay_s
        self._fails_after = fails_after
        self._prompt_end = prompt_end
        self.prompts: list[str] = []
        self.pieces = 0

    def prompt(self, messages: Sequence[Mapping[str, str]]) -> str:
        turns = "\n\n".join(f"<{message['role']}>\n{message['content']}" for message in messages)
        return turns + self._prompt_end

    def fits(self, prompt: str, max_new_tokens: int) -> bool:
        return len(prompt) <= self._window

    def stream(self, prompt: str, max_new_tokens: int, cancel: CancelToken) -> Iterator[str]:
        self.prompts.append(prompt)
        reply = self._replies.pop(0)
        for start in range(0, len(reply), 7):  # pieces that respect neither words nor markers
            if cancel.cancelled:
                return
            if self._fails_after is not None and start >= self._fails_after:
                raise GenerationError("The language model scripted failed: out of memory.")
            time.sleep(self._delay_s)
            self.pieces += 1
            yield reply[start : start + 7]
