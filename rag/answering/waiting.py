"""Wait for a language model and load it, telling the place in its queue. Lets nothing be written."""

import time
from collections.abc import Generator

from ..events import CancelToken, Event, Status
from ..llm.model import LanguageModel
from ..llm.shared import Turn
from .draft import Draft


def take_turn(
    turn: Turn, max_wait_s: float | None, draft: Draft, cancel: CancelToken
) -> Generator[Event, None, LanguageModel | None]:
    """Wait for the model and load it; a turn that was taken already costs nothing.

    Args:
        turn: A place in the model's queue.
        max_wait_s: Longest wait, in seconds; None: any.
        draft: Is told why the model is not used.
        cancel: Ends the waiting.

    Returns:
        The model; None if the queue is full or too long, or a stop came first.

    Raises:
        ModelLoadError: If the model cannot be loaded.
    """
    shared = turn.shared
    if not turn.join():
        draft.give_up(f"Too many answers are waiting for {shared.name}")
        return None
    until = None if max_wait_s is None else time.monotonic() + max_wait_s
    while ahead := turn.ahead:
        late = until is not None and (time.monotonic() >= until or turn.expected_wait_s > (max_wait_s or 0.0))
        if late or cancel.cancelled:
            turn.leave()
            draft.stopped = cancel.cancelled
            if late:
                draft.give_up(f"{shared.name} is busy for more than {max_wait_s:g} s")
            return None
        yield Status("wait", f"Waiting for {shared.name}: {ahead} answer{'s go' if ahead > 1 else ' goes'} first")
        turn.wait(cancel, ahead, until)
    if not shared.loaded:
        yield Status("load", f"Loading {shared.name}")
    model = shared.model(cancel)
    draft.stopped = model is None
    return model
