"""One model for many: turns come in order, no more at a time than may be, and loading happens once and in the back."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from fake_llm import ScriptedLLM

from index.errors import ConfigError, ModelLoadError
from rag.events import CancelToken
from rag.llm.shared import SharedModel, Turn

PATIENCE_S = 20  # far more than anything here takes


def shared_model(
    load: Callable[[], ScriptedLLM] | None = None, concurrent: int | None = None, max_waiting: int = 1000
) -> SharedModel:
    return SharedModel(load or (lambda: ScriptedLLM("")), "scripted", concurrent, max_waiting)


def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


@contextmanager
def threads(*works: Callable[[], object]) -> Iterator[list[threading.Thread]]:
    """Run works at the same time, and fail if one of them fails or does not end."""
    failures: list[BaseException] = []

    def guarded(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as exc:
            failures.append(exc)

    running = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in running:
        thread.start()
    yield running
    end = time.monotonic() + PATIENCE_S
    for thread in running:
        thread.join(max(0.0, end - time.monotonic()))
        assert not thread.is_alive(), "a deadlock"
    assert failures == []


def wait_for_turn(turn: Turn, cancel: CancelToken | None = None) -> None:
    cancel = cancel or CancelToken()
    while (ahead := turn.ahead) and not cancel.cancelled:
        turn.wait(cancel, ahead)


# -- the queue ------------------------------------------------------------------------------------------------


def test_turns_come_in_the_order_of_joining() -> None:
    shared, order = shared_model(), []
    first = shared.turn()
    first.join()

    def work(number: int, turn: Turn) -> None:
        with turn:
            wait_for_turn(turn)
            order.append(number)

    turns = [shared.turn() for _ in range(12)]
    assert all(turn.join() for turn in turns)
    started = [lambda n=n, t=t: work(n, t) for n, t in enumerate(turns)]
    random.Random(1).shuffle(started)
    with threads(*started):
        time.sleep(0.05)
        assert order == []
        first.leave()
    assert order == list(range(12))
    assert shared._turns == []


@pytest.mark.parametrize("concurrent", [1, 3])
def test_no_more_at_a_time_than_may_be(concurrent: int) -> None:
    shared, lock, running, most, done = shared_model(concurrent=concurrent), threading.Lock(), [0], [0], []

    def work() -> None:
        with shared.turn() as turn:
            assert turn.join()
            wait_for_turn(turn)
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            until(lambda: most[0] >= concurrent)  # so many do come
            with lock:
                running[0] -= 1
                done.append(1)

    with threads(*[work] * 20):
        pass
    assert len(done) == 20
    assert most[0] == concurrent


def test_the_model_says_how_many_unless_the_caller_does() -> None:
    for asked, expected in ((None, 3), (2, 2)):
        shared = shared_model(lambda: ScriptedLLM("", concurrent=3), concurrent=asked)
        turns = [shared.turn() for _ in range(5)]
        assert all(turn.join() for turn in turns)
        before = asked or 1  # nobody knows before it is loaded
        assert [turn.ahead for turn in turns] == [max(0, n + 1 - before) for n in range(5)]
        shared.model(CancelToken())
        assert [turn.ahead for turn in turns] == [max(0, n + 1 - expected) for n in range(5)]


@pytest.mark.parametrize(("concurrent", "max_waiting"), [(1, 0), (1, 2), (3, 2)])
def test_the_queue_is_bounded(concurrent: int, max_waiting: int) -> None:
    shared = shared_model(concurrent=concurrent, max_waiting=max_waiting)
    turns = [shared.turn() for _ in range(concurrent + max_waiting)]
    assert all(turn.join() for turn in turns)
    late = shared.turn()
    assert not late.join()
    late.leave()  # it has no place to give
    assert turns[0].join()  # one that has a place keeps it
    turns[-1].leave()
    assert late.join()
    assert [turn.ahead for turn in (*turns[:-1], late)] == [
        max(0, n + 1 - concurrent) for n in range(concurrent + max_waiting)
    ]


def test_leaving_while_waiting_moves_others_up() -> None:
    shared = shared_model()
    turns = [shared.turn() for _ in range(4)]
    assert all(turn.join() for turn in turns)
    assert [turn.ahead for turn in turns] == [0, 1, 2, 3]
    with threads(lambda: turns[3].wait(CancelToken(), 3)):  # wakes up when its place changes
        turns[1].leave()
    assert [turn.ahead for turn in (turns[0], turns[2], turns[3])] == [0, 1, 2]
    turns[1].leave()  # a second time does nothing
    turns[0].leave()
    assert [turn.ahead for turn in turns[2:]] == [0, 1]
    assert turns[1].join()
    assert turns[1].ahead == 2  # at the end again


def test_waiting_ends_with_a_stop_or_in_time() -> None:
    shared, cancel = shared_model(), CancelToken()
    with shared.turn() as first, shared.turn() as second:
        first.join()
        second.join()
        began = time.monotonic()
        second.wait(cancel, 1, until=time.monotonic() + 0.1)
        assert 0.1 <= time.monotonic() - began < 5
        with threads(lambda: second.wait(cancel, 1)):
            cancel.cancel()
        assert second.ahead == 1


def test_the_place_is_left_whatever_happened() -> None:
    shared = shared_model()

    def work() -> None:
        with shared.turn() as turn:
            turn.join()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert shared._turns == []


# -- how long it will take ------------------------------------------------------------------------------------


def test_the_expected_wait_is_what_the_last_turns_took(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("rag.llm.shared.time.monotonic", lambda: now[0])
    shared = shared_model(concurrent=2)

    def taken(seconds: float) -> None:
        with shared.turn() as turn:
            turn.join()
            now[0] += seconds

    turns = [shared.turn() for _ in range(4)]
    assert all(turn.join() for turn in turns)
    assert [turn.expected_wait_s for turn in turns] == [0, 0, 0, 0]  # nothing is known
    for turn in turns[2:]:
        turn.leave()  # they only waited, which tells nothing
    assert shared._turns == turns[:2]
    now[0] += 10
    turns[0].leave()
    turns[1].leave()
    taken(4)
    assert all(turn.join() for turn in turns)
    assert [turn.expected_wait_s for turn in turns] == [0, 0, pytest.approx(1 / 2 * 8), pytest.approx(2 / 2 * 8)]
    for turn in turns:
        turn.leave()
    for _ in range(8):
        taken(2)
    assert all(turn.join() for turn in turns)
    assert turns[2].expected_wait_s == pytest.approx(1)  # what is long ago is forgotten


def test_the_loading_is_no_part_of_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("rag.llm.shared.time.monotonic", lambda: now[0])

    def load() -> ScriptedLLM:
        now[0] += 60
        return ScriptedLLM("")

    shared = shared_model(load)
    with shared.turn() as turn:
        turn.join()
        shared.model(CancelToken())
        now[0] += 5
    with shared.turn() as first, shared.turn() as second:
        first.join()
        second.join()
        assert second.expected_wait_s == pytest.approx(5)


# -- loading --------------------------------------------------------------------------------------------------


def test_it_is_loaded_once_for_all() -> None:
    loads, llm, found = [], ScriptedLLM(""), []

    def load() -> ScriptedLLM:
        loads.append(1)
        time.sleep(0.05)
        return llm

    shared = shared_model(load)
    assert (shared.loaded, shared.name) == (False, "scripted")
    with threads(*[lambda: found.append(shared.model(CancelToken()))] * 10):
        pass
    assert found == [llm] * 10
    assert loads == [1]
    assert shared.loaded


def test_the_name_is_the_models_own_once_it_is_there() -> None:
    llm = ScriptedLLM("")
    llm.name = "Scripted 7B"
    shared = shared_model(lambda: llm)
    assert shared.name == "scripted"
    shared.model(CancelToken())
    assert shared.name == "Scripted 7B"


def test_a_load_that_fails_is_tried_again() -> None:
    tries: list[int] = []

    def load() -> ScriptedLLM:
        tries.append(1)
        if len(tries) < 3:
            raise ModelLoadError(f"There is no memory ({len(tries)}).")
        return ScriptedLLM("")

    shared = shared_model(load)
    for number in (1, 2):
        with pytest.raises(ModelLoadError, match=rf"There is no memory \({number}\)"):
            shared.model(CancelToken())
    assert shared.model(CancelToken()) is not None
    assert shared.model(CancelToken()) is not None
    assert len(tries) == 3


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("bad weights"), "The language model scripted cannot be loaded: bad weights"),
        (MemoryError(), "The language model scripted cannot be loaded: MemoryError"),
        (ConfigError("The key has an odd character."), "cannot be loaded: The key has an odd character."),
        (SystemExit(2), "The language model scripted cannot be loaded: 2"),  # a model's own code may do anything
        (KeyboardInterrupt(), "The language model scripted cannot be loaded: KeyboardInterrupt"),
        (ModelLoadError("There is no model."), "There is no model."),
    ],
)
def test_whatever_goes_wrong_is_an_error_of_loading(error: BaseException, message: str) -> None:
    def load() -> ScriptedLLM:
        raise error

    shared = shared_model(load)
    with pytest.raises(ModelLoadError) as caught:
        shared.model(CancelToken())
    assert message in str(caught.value)
    assert isinstance(error, ModelLoadError) or caught.value.__cause__ is error


def test_all_who_wait_hear_of_a_failure() -> None:
    go, heard = threading.Event(), []

    def load() -> ScriptedLLM:
        go.wait(PATIENCE_S)
        raise ModelLoadError("There is no memory.")

    shared = shared_model(load)

    def work() -> None:
        try:
            shared.model(CancelToken())
        except ModelLoadError as exc:
            heard.append(str(exc))

    with threads(*[work] * 5):
        until(lambda: shared._loading)
        time.sleep(0.05)
        go.set()
    assert heard == ["There is no memory."] * 5


def test_a_stop_while_loading_returns_at_once_and_the_next_gets_the_model() -> None:
    go, loads, llm = threading.Event(), [], ScriptedLLM("")

    def load() -> ScriptedLLM:
        loads.append(1)
        go.wait(PATIENCE_S)
        return llm

    shared, cancel, found = shared_model(load), CancelToken(), []
    with threads(lambda: found.append(shared.model(cancel))):
        until(lambda: loads)
        began = time.monotonic()
        cancel.cancel()
        until(lambda: found)
        assert time.monotonic() - began < 1
    assert found == [None]
    assert not shared.loaded
    with threads(lambda: found.append(shared.model(CancelToken()))):
        go.set()
    assert found == [None, llm]
    assert loads == [1]


# -- hammering ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrent", [1, 2, 5])
def test_many_threads_that_come_wait_stop_and_fail(concurrent: int) -> None:
    lock, running, most, tries = threading.Lock(), [0], [0], [0]

    def load() -> ScriptedLLM:
        tries[0] += 1
        if tries[0] < 4:
            raise OSError("busy")
        return ScriptedLLM("", concurrent=concurrent)

    shared, ended = shared_model(load, max_waiting=10), []

    def once(draw: random.Random) -> str:
        cancel = CancelToken()
        with shared.turn() as turn:
            if not turn.join():
                return "full"
            if draw.random() < 0.3:
                threading.Timer(draw.random() / 100, cancel.cancel).start()
            wait_for_turn(turn, cancel)
            assert turn.expected_wait_s >= 0
            try:
                model = None if turn.ahead else shared.model(cancel)
            except ModelLoadError:
                return "failed"
            if model is None:
                return "stopped"
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            time.sleep(draw.random() / 500)
            with lock:
                running[0] -= 1
            return "written"

    def work(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(15):
            result = once(draw)
            with lock:
                ended.append(result)

    with threads(*[lambda seed=seed: work(seed) for seed in range(16)]):
        pass
    assert len(ended) == 15 * 16
    assert ended.count("failed") <= 3 or concurrent > 1  # one that was stopped does not hear of it
    assert "written" in ended
    assert most[0] <= concurrent
    assert shared._turns == []
