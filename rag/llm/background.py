"""Read an asynchronous iterator from ordinary code, with a stop that works while it waits. Knows nothing of models.

The iterator runs in an event loop and a thread of its own: the caller's thread may have a running loop already, as in
a notebook, and then could run no other.
"""

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TypeVar

from ..events import CancelToken

Item = TypeVar("Item")

_AHEAD = 64  # items that wait for a reader who pauses; then the iterator is not asked for more
_PATIENCE_S = 0.02  # how long a stop, or room for one more item, may go unnoticed


@dataclass(frozen=True, slots=True)
class _End:
    error: Exception | None


def read_in_background(
    source: Callable[[], AsyncGenerator[Item, None]], cancel: CancelToken
) -> Generator[Item, None, None]:
    """Yield what an asynchronous generator yields; raise what it raises.

    A stop, or closing the iterator, cancels the generator wherever it waits. When the iterator has ended, however it
    did, the generator is closed and its thread has ended; only a lookup of a host's name, which cannot be interrupted,
    ends by itself.

    Args:
        source: Makes the generator; called in the thread it runs in.
        cancel: Ends the iterator without an error.
    """
    if cancel.cancelled:
        return
    items: queue.Queue[Item | _End] = queue.Queue(_AHEAD)
    loop = asyncio.new_event_loop()
    task = loop.create_task(_hand_over(source, items))
    thread = threading.Thread(target=_run, args=(loop, task), name="citewell-server", daemon=True)
    thread.start()
    try:
        while not cancel.cancelled:
            try:
                item = items.get(timeout=_PATIENCE_S)
            except queue.Empty:
                if not thread.is_alive() and items.empty():
                    raise RuntimeError("The thread that reads ended without saying why.") from None
                continue
            if not isinstance(item, _End):
                yield item
            elif item.error is None:
                return
            else:
                raise item.error
    finally:
        with suppress(RuntimeError):  # the loop is closed: the generator has ended by itself
            loop.call_soon_threadsafe(task.cancel)
        thread.join()


def _run(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    try:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()  # unlike asyncio.run it does not wait for a lookup of a name


async def _hand_over(source: Callable[[], AsyncGenerator[Item, None]], items: "queue.Queue[Item | _End]") -> None:
    error: Exception | None = None
    try:
        async with aclosing(source()) as generator:
            async for item in generator:
                await _put(items, item)
    except Exception as exc:  # whatever it is, the reader has to hear of it: no one else sees this thread
        error = exc
    await _put(items, _End(error))


async def _put(items: "queue.Queue[Item | _End]", item: Item | _End) -> None:
    while True:
        try:
            return items.put_nowait(item)
        except queue.Full:
            await asyncio.sleep(_PATIENCE_S)
