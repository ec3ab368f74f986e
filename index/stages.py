"""Pass work through stages that run side by side, in order, with short queues between them. Knows no paper."""

import threading
from collections.abc import Callable
from queue import Full, Queue
from typing import Any

_Stage = Callable[[Any], Any]
_END = object()
_PATIENCE_S = 0.1


class Stages:
    """A line of stages, each a thread; what one returns is handed to the next.

    A full queue makes :meth:`submit` wait, so that memory stays bounded, and a stage waits until the next one has taken
    what it made, so that little is lost if the process dies. After a failure nothing more is worked on.

    Args:
        *stages: Functions of one argument; what the last one returns is dropped.
        waiting: Pieces of work that may wait before the first stage.
    """

    def __init__(self, *stages: _Stage, waiting: int = 2) -> None:
        self._queues: list[Queue[Any]] = [Queue(waiting if number == 0 else 1) for number in range(len(stages))]
        self._done = threading.Condition()
        self._pending = 0
        self._failure: BaseException | None = None
        self._discarding = False
        self._threads = [
            threading.Thread(target=self._run, args=(number, stage), daemon=True, name=f"citewell-{stage.__name__}")
            for number, stage in enumerate(stages)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Any) -> None:
        """Hand over a piece of work; wait while the first queue is full.

        Raises:
            BaseException: What an earlier piece of work failed with.
        """
        self._check()
        with self._done:
            self._pending += 1
        self._queues[0].put(work)

    def drain(self) -> None:
        """Wait until everything that was handed over has passed the last stage.

        Raises:
            BaseException: What a piece of work failed with.
        """
        with self._done:
            self._done.wait_for(lambda: not self._pending)
        self._check()

    def close(self, *, discard: bool = False) -> None:
        """End the threads.

        Args:
            discard: Drop what has not begun its first stage; what has begun still passes all of them.

        Raises:
            KeyboardInterrupt: After the threads have ended, if one came meanwhile.
        """
        self._discarding = discard
        told, interrupt = False, None
        # The threads end before this returns, come what may: the caller lets go of a lock that they work under.
        while any(thread.is_alive() for thread in self._threads):
            try:
                if not told:
                    self._queues[0].put(_END, timeout=_PATIENCE_S)
                    told = True
                for thread in self._threads:
                    thread.join(_PATIENCE_S)
            except Full:
                pass  # the first stage is still busy
            except KeyboardInterrupt as exc:
                interrupt = exc
                self._failure = self._failure or exc  # what has not begun its next stage is dropped
        if interrupt is not None:
            raise interrupt

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self, number: int, stage: _Stage) -> None:
        last = number == len(self._queues) - 1
        while (work := self._taken(number)) is not _END:
            dropped = self._failure is not None or (self._discarding and number == 0)
            if not dropped:
                try:
                    work = stage(work)
                except BaseException as exc:  # it is raised again in the thread that waits for the work
                    self._failure, dropped = self._failure or exc, True
            if dropped or last:
                with self._done:
                    self._pending -= 1
                    self._done.notify_all()
            else:
                self._queues[number + 1].put(work)
                self._queues[number + 1].join()
        if not last:
            self._queues[number + 1].put(_END)

    def _taken(self, number: int) -> Any:
        """Return what is next for a stage, and let the stage before it go on."""
        work = self._queues[number].get()
        self._queues[number].task_done()
        return work
