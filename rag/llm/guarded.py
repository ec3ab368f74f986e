"""A language model that someone else made, of which only errors for people come out. Makes nothing else of it."""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import Any

from index.errors import GenerationError, ModelLoadError

from ..events import CancelToken
from .model import Messages

_ALMOST = 4  # tokens below the limit from which on a text may have been cut


class GuardedModel:
    """Hands everything on to an object, and makes a :class:`~index.errors.GenerationError` of whatever it raises.

    Args:
        given: As :class:`rag.llm.model.LanguageModel` describes. If its ``stream`` does not return whether the text was
            cut, a text of about as many tokens as were allowed counts as cut.
    """

    def __init__(self, given: Any) -> None:
        self._given = given

    @property
    def name(self) -> str:
        """The object's name, else its class."""
        try:
            return str(self._given.name)
        except Exception:  # a name is needed to say what failed
            return type(self._given).__name__

    @property
    def window(self) -> int | None:
        """The object's window, in tokens."""
        with self._errors():
            window = self._given.window
            return None if window is None else int(window)

    @property
    def concurrent(self) -> int:
        """How many answers the object may write at the same time; 1 if it fails to say."""
        try:
            return max(1, int(self._given.concurrent))
        except Exception:  # it is asked where nobody waits for an error
            return 1

    def prompt(self, messages: Messages) -> str:
        """Return the object's prompt."""
        with self._errors():
            return str(self._given.prompt(messages))

    def count_tokens(self, text: str) -> int:
        """Return the object's count."""
        with self._errors():
            return int(self._given.count_tokens(text))

    def stream(
        self, messages: Messages, max_new_tokens: int, cancel: CancelToken, papers: int = 0
    ) -> Generator[str, None, bool]:
        """Yield what the object writes; see :meth:`rag.llm.model.LanguageModel.stream`."""
        text = ""
        with self._errors():
            pieces = self._given.stream(messages, max_new_tokens, cancel, papers)
        with self._errors(), closing(pieces) if hasattr(pieces, "close") else nullcontext():
            pieces = iter(pieces)
            while True:
                try:
                    piece = next(pieces)
                except StopIteration as end:
                    cut = end.value
                    break
                if not isinstance(piece, str):
                    raise TypeError(f"it wrote a {type(piece).__name__} and no text")
                text += piece
                yield piece
        if cut is None:
            cut = not cancel.cancelled and self.count_tokens(text) >= max_new_tokens - _ALMOST
        return bool(cut)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (GenerationError, ModelLoadError):
            raise
        except Exception as exc:  # anything may stand behind the object
            said = next(iter(str(exc).strip().splitlines()), "").rstrip(".")
            what = f"{type(exc).__name__}: {said}" if said else type(exc).__name__
            raise GenerationError(
                f"The language model {self.name} failed: {what}. Mend the object that was given as llm, or leave it "
                "out."
            ) from exc
