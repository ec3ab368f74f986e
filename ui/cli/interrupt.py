"""Let Ctrl-C stop an answer in good order. Stops nothing itself."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rag import CancelToken


@contextlib.contextmanager
def interrupt_cancels(token: "CancelToken") -> Iterator[None]:
    """Let the first Ctrl-C stop the answer in good order and the second one stop the program."""

    def handler(number: int, frame: FrameType | None) -> None:
        if token.cancelled:
            raise KeyboardInterrupt
        token.cancel()

    previous = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
