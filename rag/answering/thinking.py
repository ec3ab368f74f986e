"""Take a model's thinking out of what it writes, as it comes. Knows nothing of sentences."""

from collections.abc import Iterator

from ..thinking_tags import BEGUN, CLOSE, EITHER, opens_at_end


class Restart:
    """All that was passed on before was thinking: its end has come, without a beginning."""


class ThinkingFilter:
    """Passes on what stands outside tagged blocks; a block that is not closed goes on to the end.

    Args:
        prompt: What the model was given. Some chat templates open the block there, so that the model only ends it.
    """

    def __init__(self, prompt: str = "") -> None:
        self._inside = opens_at_end(prompt)
        self._held = ""
        self._passed = False  # whether anything was passed on

    def feed(self, piece: str) -> Iterator[str | Restart]:
        """Take the next piece; yield text to pass on, and :class:`Restart` where a block ends that never began."""
        self._held += piece
        while tag := (CLOSE if self._inside else EITHER).search(self._held):
            before, self._held = self._held[: tag.start()], self._held[tag.end() :]
            if not self._inside and before:
                self._passed = True
                yield before
            if not self._inside and CLOSE.fullmatch(tag[0]):
                if self._passed:
                    yield Restart()
                self._passed = False
            else:
                self._inside = not self._inside
        begun = BEGUN.search(self._held)
        ready = self._held[: begun.start()] if begun else self._held
        self._held = self._held[len(ready) :]
        if ready and not self._inside:
            self._passed = True
            yield ready

    def end(self) -> str:
        """Return what was held back because it could have been a tag."""
        held, self._held = self._held, ""
        return "" if self._inside else held
