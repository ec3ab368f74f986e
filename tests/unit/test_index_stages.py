"""Stages: work passes them in order and side by side, little waits between them, and a failure stops it all."""

import threading
import time

import pytest

from index.stages import Stages


def test_work_passes_all_stages_in_order():
    done = []
    stages = Stages(lambda n: n + 1, lambda n: n * 10, done.append)
    for number in range(20):
        stages.submit(number)
    stages.drain()
    assert done == [(number + 1) * 10 for number in range(20)]
    stages.submit(99)
    stages.close()
    assert done[-1] == 1000


def test_draining_nothing_returns_at_once():
    stages = Stages(lambda n: n)
    stages.drain()
    stages.close()


class Gate:
    """A stage that lets pieces through one by one, and knows how many have come to it."""

    def __init__(self):
        self.arrived, self.passed, self._may_pass = [], [], threading.Semaphore(0)
        self.__name__ = "gate"

    def __call__(self, work):
        self.arrived.append(work)
        assert self._may_pass.acquire(timeout=10)
        self.passed.append(work)
        return work

    def open(self, times=1):
        self._may_pass.release(times)


def settled(count):
    """Wait until a number no longer changes, and return it."""
    before = -1
    while before != count():
        before = count()
        time.sleep(0.05)
    return before


def test_stages_work_side_by_side():
    first, second = Gate(), Gate()
    stages = Stages(first, second)
    stages.submit(1)
    first.open()
    stages.submit(2)
    assert settled(lambda: (len(first.arrived), len(second.arrived))) == (2, 1)
    first.open()
    second.open(2)
    stages.close()
    assert second.passed == [1, 2]


def test_only_one_piece_is_made_ahead_of_a_slow_stage_and_submitting_waits():
    """What is made and not yet taken by the last stage would be lost with the process."""
    made, writing, submitted = [], Gate(), []
    stages = Stages(lambda n: made.append(n) or n, writing, waiting=2)

    def submit():
        for number in range(20):
            stages.submit(number)
            submitted.append(number)

    submitting = threading.Thread(target=submit)
    submitting.start()
    assert settled(lambda: len(submitted)) == 4  # one is written, one is made, two wait
    assert (made, writing.arrived) == ([0, 1], [0])
    writing.open()
    assert settled(lambda: len(submitted)) == 5
    assert (made, writing.arrived) == ([0, 1, 2], [0, 1])
    writing.open(30)
    submitting.join()
    stages.close()
    assert writing.passed == list(range(20))


@pytest.mark.parametrize("failing", [0, 1])
def test_a_failure_is_raised_where_the_work_is_waited_for_and_nothing_more_is_done(failing):
    done = []

    def work(number):
        if number == 2:
            raise RuntimeError("the model broke")
        return number

    stages = Stages(*[work, done.append] if failing == 0 else [lambda n: n, lambda n: done.append(work(n))])

    def submit():
        for number in range(50):
            stages.submit(number)
        stages.drain()

    with pytest.raises(RuntimeError, match="the model broke"):
        submit()
    assert done == [0, 1]
    for again in (stages.drain, lambda: stages.submit(1)):
        with pytest.raises(RuntimeError, match="the model broke"):
            again()
    stages.close(discard=True)
    assert done == [0, 1]


def test_an_interruption_in_a_stage_reaches_the_caller():
    def interrupted(_work):
        raise KeyboardInterrupt

    stages = Stages(interrupted)
    stages.submit(1)
    with pytest.raises(KeyboardInterrupt):
        stages.drain()
    stages.close(discard=True)


def test_discarding_drops_what_has_not_begun_and_finishes_what_has():
    embedding, written = Gate(), []
    stages = Stages(embedding, written.append, waiting=3)
    for number in range(4):
        stages.submit(number)
    assert settled(lambda: len(embedding.arrived)) == 1
    closing = threading.Thread(target=lambda: stages.close(discard=True))
    closing.start()
    time.sleep(0.05)
    embedding.open(10)
    closing.join(10)
    assert written == [0]
    assert embedding.arrived == [0]


def test_closing_ends_all_threads_and_may_be_done_twice():
    before = threading.active_count()
    stages = Stages(lambda n: n, lambda n: n, lambda n: n)
    assert threading.active_count() == before + 3
    stages.submit(1)
    stages.close()
    stages.close(discard=True)
    assert threading.active_count() == before
