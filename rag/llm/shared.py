"""One language model for everyone who asks: a fair, bounded queue, and loading on first use. Writes nothing."""

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

from index.errors import ModelLoadError

from ..events import CancelToken
from .model import LanguageModel

_PATIENCE_S = 0.05  # how long one that waits may not notice a stop
_REMEMBERED = 8  # turns, of which the mean says how long the next ones will take


class SharedModel:
    """A language model that several answers use in turn, in the order in which they came.

    Args:
        load: Returns the model; called once, with the first turn. If it fails, the next turn tries again.
        name: The model's name, for people, before it is loaded.
        concurrent: Turns at the same time; None: as many as the model says.
        max_waiting: Turns that may wait; further ones are turned away.
    """

    def __init__(
        self, load: Callable[[], LanguageModel], name: str, concurrent: int | None = None, max_waiting: int = 16
    ) -> None:
        self._load = load
        self._name = name
        self._concurrent = concurrent
        self._max_waiting = max_waiting
        self._changed = threading.Condition()
        self._turns: list[Turn] = []
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)
        self._model: LanguageModel | None = None
        self._failure: ModelLoadError | None = None
        self._loading = False
        self._loaded_at = 0.0

    @property
    def name(self) -> str:
        """The model's name, for people."""
        return self._model.name if self._model else self._name

    @property
    def loaded(self) -> bool:
        """Whether the model is there."""
        return self._model is not None

    def turn(self) -> "Turn":
        """Return a turn, which has not begun to wait."""
        return Turn(self)

    def model(self, cancel: CancelToken) -> LanguageModel | None:
        """Return the model, loading it if it is not there; None if a stop came first (the loading goes on).

        Raises:
            ModelLoadError: If it cannot be loaded.
        """
        with self._changed:
            if self._model is None and not self._loading and not cancel.cancelled:
                self._loading, self._failure = True, None
                threading.Thread(target=self._run_load, name="citewell-load", daemon=True).start()
            while self._loading and not cancel.cancelled:
                self._changed.wait(_PATIENCE_S)
            if self._failure is not None:
                raise self._failure
            return None if cancel.cancelled else self._model

    def _run_load(self) -> None:
        model, failure = None, None
        try:
            model = self._load()
        except ModelLoadError as exc:
            failure = exc
        except BaseException as exc:  # it would end this thread unseen, and those who wait would wait for ever
            said = str(exc) or type(exc).__name__
            failure = ModelLoadError(f"The language model {self._name} cannot be loaded: {said}")
            failure.__cause__ = exc
        with self._changed:
            self._model, self._failure, self._loading = model, failure, False
            self._loaded_at = time.monotonic()
            self._changed.notify_all()

    def _slots(self) -> int:
        return self._concurrent or (self._model.concurrent if self._model else 1)


class Turn:
    """One answer's place in the queue of a :class:`SharedModel`. Leave it with :meth:`leave`, or use it in ``with``."""

    def __init__(self, shared: SharedModel) -> None:
        self.shared = shared
        self._began = 0.0

    def join(self) -> bool:
        """Take a place at the end of the queue, unless there is one already; False if the queue is full."""
        with self.shared._changed:
            turns = self.shared._turns
            if self in turns:
                return True
            if len(turns) >= self.shared._slots() + self.shared._max_waiting:
                return False
            turns.append(self)
            self._note_begin()
            return True

    @property
    def ahead(self) -> int:
        """How many turns have to end before this one; 0 when it is this one's turn."""
        with self.shared._changed:
            return max(0, self.shared._turns.index(self) + 1 - self.shared._slots())

    @property
    def expected_wait_s(self) -> float:
        """How long this turn will have to wait, in seconds, as the last turns went; 0 while nothing is known."""
        with self.shared._changed:
            seconds = self.shared._seconds
            return self.ahead / self.shared._slots() * (sum(seconds) / len(seconds)) if seconds else 0.0

    def wait(self, cancel: CancelToken, ahead: int, until: float | None = None) -> None:
        """Wait while there are ``ahead`` turns before this one.

        Args:
            cancel: Ends the waiting.
            ahead: What :attr:`ahead` was.
            until: Of ``time.monotonic()``, when the waiting ends in any case; None: never.
        """
        with self.shared._changed:
            while self.ahead == ahead and not cancel.cancelled and (until is None or time.monotonic() < until):
                self.shared._changed.wait(_PATIENCE_S)
            self._note_begin()

    def leave(self) -> None:
        """Give the place to the next; without a place, do nothing."""
        with self.shared._changed:
            if self in self.shared._turns:
                self.shared._turns.remove(self)
                if self._began:
                    began = max(self._began, self.shared._loaded_at)  # loading happens once, and tells nothing
                    self.shared._seconds.append(time.monotonic() - began)
                self._began = 0.0
                self.shared._changed.notify_all()

    def _note_begin(self) -> None:
        if not self._began and not self.ahead:
            self._began = time.monotonic()

    def __enter__(self) -> "Turn":
        """Return the turn itself; it has no place before :meth:`join`."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the queue, whatever happened."""
        self.leave()
