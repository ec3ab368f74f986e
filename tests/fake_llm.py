"""A language model that writes what it is told to, piece by piece, and keeps what it was given."""

import time
from collections.abc import Iterator, Mapping, Sequence

from rag.events import CancelToken


class ScriptedLLM:
    """Writes its replies in turn.

    Args:
        replies: One text per question.
        window: The longest prompt, in characters, that fits.
        delay_s: Pause before each piece.
    """

    name = "scripted"

    def __init__(self, *replies: str, window: int = 100_000, delay_s: float = 0.0) -> None:
        self._replies = list(replies)
        self._window = window
        self._delay_s = delay_s
        self.prompts: list[str] = []
        self.pieces = 0

    def prompt(self, messages: Sequence[Mapping[str, str]]) -> str:
        return "\n\n".join(f"<{message['role']}>\n{message['content']}" for message in messages)

    def fits(self, prompt: str, max_new_tokens: int) -> bool:
        return len(prompt) <= self._window

    def stream(self, prompt: str, max_new_tokens: int, cancel: CancelToken) -> Iterator[str]:
        self.prompts.append(prompt)
        reply = self._replies.pop(0)
        for start in range(0, len(reply), 7):  # pieces that respect neither words nor markers
            if cancel.cancelled:
                return
            time.sleep(self._delay_s)
            self.pieces += 1
            yield reply[start : start + 7]
