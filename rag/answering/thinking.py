"""Take a model's thinking out of what it writes, as it comes. Knows nothing of sentences."""

import re
from collections.abc import Iterator

_NAMES = "think|thinking|thought|thoughts|reasoning|analysis|scratchpad"
# Most models write <think>, Magistral [THINK], Kimi ◁think▷.
_OPEN = re.compile(rf"<(?:{_NAMES})>|\[THINK\]|◁think▷", re.I)
_CLOSE = re.compile(rf"</(?:{_NAMES})>|\[/THINK\]|◁/think▷", re.I)
_EITHER = re.compile(f"{_OPEN.pattern}|{_CLOSE.pattern}", re.I)
_TAG_BEGUN = re.compile(r"(?:</?[a-z]{0,10}|[\[◁]/?[a-z]{0,5})\Z", re.I)
_OPENS_AT_END = re.compile(rf"(?:{_OPEN.pattern})\s*\Z", re.I)


class Restart:
    """All that was passed on before was thinking: its end has come, without a beginning."""


class ThinkingFilter:
    """Passes on what stands outside tagged blocks; a block that is not closed goes on to the end.

    Args:
        prompt: What the model was given. Some chat templates open the block there, so that the model only ends it.
    """

    def __init__(self, prompt: str = "") -> None:
        self._inside = bool(_OPENS_AT_END.search(prompt))
        self._held = ""

    def feed(self, piece: str) -> Iterator[str | Restart]:
        """Take the next piece; yield text to pass on, and :class:`Restart` where a block ends that never began."""
        self._held += piece
        while tag := (_CLOSE if self._inside else _EITHER).search(self._held):
            before, self._held = self._held[: tag.start()], self._held[tag.end() :]
            if not self._inside and before:
                yield before
            if not self._inside and tag[0][1] == "/":
                yield Restart()
            else:
                self._inside = not self._inside
        begun = _TAG_BEGUN.search(self._held)
        ready = self._held[: begun.start()] if begun else self._held
        self._held = self._held[len(ready) :]
        if ready and not self._inside:
            yield ready

    def end(self) -> str:
        """Return what was held back because it could have been a tag."""
        held, self._held = self._held, ""
        return "" if self._inside else held
