"""What the rest of Citewell asks of a language model, wherever it runs. Writes nothing itself."""

from collections.abc import Generator, Mapping, Sequence
from typing import Protocol, runtime_checkable

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
    ) -> Generator[str, None, bool]:
        """Yield the text the model writes, piece by piece as it comes, greedily decoded.

        A stop ends it within two tokens, also while it reads the prompt; closing the iterator does the same. When the
        iterator has ended, however it did, nothing of the generation goes on anywhere.

        Args:
            messages: What the model is asked.
            max_new_tokens: The most it writes.
            cancel: Stops it; what was yielded stays.
            papers: Citation markers may name the numbers 1 to ``papers``. A model that decodes here cannot write
                others; from any other, they may come.

        Returns:
            Whether the text was cut: True if a limit (of tokens, of characters, or of what a server lets through)
            ended it, so that its last sentence may not be whole; False if the model ended it itself, or a stop did.
            ``cut = yield from model.stream(…)`` and :func:`read_to_end` give it; a loop with ``for`` loses it.

        Raises:
            GenerationError: If the model fails; the message is a sentence for people that names the next step.
        """
        ...


@runtime_checkable
class LocalModel(Protocol):
    """What a model on this machine can tell of itself beside being a :class:`LanguageModel`; for reports only."""

    @property
    def parameters(self) -> int:
        """How many numbers its weights are, those used twice (tied embeddings) counted once."""
        ...

    @property
    def dtype(self) -> str:
        """Their format, such as "bfloat16"."""
        ...

    @property
    def device(self) -> str:
        """Where it runs, such as "cpu" or "cuda:0"."""
        ...


class PlainModel:
    """What a model without a tokenizer of its own tells of itself. A subclass adds ``name`` and ``stream``."""

    @property
    def concurrent(self) -> int:
        """One answer at a time."""
        return 1

    @property
    def window(self) -> int | None:
        """Not known."""
        return None

    def prompt(self, messages: Messages) -> str:
        """Return a likeness of the prompt: whatever stands behind the model makes the real one itself."""
        return likeness(messages)

    def count_tokens(self, text: str) -> int:
        """Return an estimate, rather too high; text of nothing but digits and signs may have more."""
        return estimate_tokens(text)


def read_to_end(pieces: Generator[str, None, bool]) -> tuple[str, bool]:
    """Return all that a model writes, and whether it was cut."""
    text = ""
    while True:
        try:
            text += next(pieces)
        except StopIteration as end:
            return text, bool(end.value)


def likeness(messages: Messages) -> str:
    """Return chat messages as one text, for people, where a model makes its own prompt of them."""
    return "\n\n".join(f"<{message['role']}>\n{message['content']}" for message in messages)


def estimate_tokens(text: str) -> int:
    """Return an estimate of a text's tokens, rather too high: one per three characters, two per character beyond ASCII.

    English has four to five characters a token with the tokenizers of today, Chinese about one token a character.
    """
    ascii_chars = sum(char.isascii() for char in text)
    return -(-ascii_chars // 3) + 2 * (len(text) - ascii_chars)
