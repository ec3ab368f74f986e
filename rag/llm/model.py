"""What the rest of Citewell asks of a language model, wherever it runs. Implements none."""

from collections.abc import Generator, Mapping, Sequence
from typing import Protocol

from ..events import CancelToken

Messages = Sequence[Mapping[str, str]]
"""Chat messages with ``role`` ("system", "user", "assistant") and ``content``."""


class LanguageModel(Protocol):
    """A chat model."""

    @property
    def name(self) -> str:
        """The model's name, for people."""
        ...

    @property
    def window(self) -> int | None:
        """The most tokens that a prompt and what is written after it may have together; None: not known."""
        ...

    @property
    def concurrent(self) -> int:
        """How many answers it may write at the same time, at least 1."""
        ...

    def prompt(self, messages: Messages) -> str:
        """Return the text the model is given for chat messages; for a server, which makes it itself, its likeness.

        Raises:
            GenerationError: If the model's chat template fails.
        """
        ...

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has for this model; rather too many where that can only be estimated."""
        ...

    def stream(
        self, messages: Messages, max_new_tokens: int, cancel: CancelToken, papers: int = 0
    ) -> Generator[str, None, None]:
        """Yield the text the model writes, piece by piece as it comes, greedily decoded.

        A stop ends it within two tokens, also while it reads the prompt; closing the iterator does the same. When the
        iterator has ended, however it did, nothing of the generation goes on anywhere.

        Args:
            messages: What the model is asked.
            max_new_tokens: The most it writes.
            cancel: Stops it; what was yielded stays.
            papers: Citation markers may name the numbers 1 to ``papers``. A model that decodes here cannot write
                others; from any other, they may come.

        Raises:
            GenerationError: If the model fails; the message is a sentence for people that names the next step.
        """
        ...


def likeness(messages: Messages) -> str:
    """Return chat messages as one text, for people, where a model makes its own prompt of them."""
    return "\n\n".join(f"<{message['role']}>\n{message['content']}" for message in messages)


def estimate_tokens(text: str) -> int:
    """Return an estimate of a text's tokens, rather too high: one per three characters, two per character beyond ASCII.

    English has four to five characters a token with the tokenizers of today, Chinese about one token a character.
    """
    ascii_chars = sum(char.isascii() for char in text)
    return -(-ascii_chars // 3) + 2 * (len(text) - ascii_chars)
