"""The thread that writes what a run leaves: order, bound, errors, interruptions."""

import os
import signal
import threading
from functools import partial

import pytest

from hqtrack.runs.writer import WriterThread
from hqtrack.signals import Ended, ended_by_signals

SECONDS = 60
"""Nothing waits for so long unless it hangs."""


@pytest.fixture
def gate():
    """An event for which a job waits; set at the end, so that no thread is left."""
    event = threading.Event()
    yield event
    event.set()


def hold(gate):
    assert gate.wait(SECONDS)


def fail(error):
    raise error


def test_jobs_run_in_order_and_in_another_thread():
    done = []
    with WriterThread() as writer:
        for number in range(20):
            writer.put(lambda number=number: done.append((number, threading.get_ident())))
    assert [number for number, _ in done] == list(range(20))
    assert {thread for _, thread in done}.isdisjoint({threading.get_ident()})
    assert len({thread for _, thread in done}) == 1


def test_the_caller_waits_while_two_jobs_are_unfinished(gate):
    done, put = [], threading.Event()

    def produce():
        with WriterThread() as writer:
            writer.put(partial(hold, gate))
            writer.put(partial(done.append, 1))
            put.set()
            writer.put(partial(done.append, 2))
            done.append("put")

    producer = threading.Thread(target=produce)
    producer.start()
    assert put.wait(SECONDS)
    producer.join(0.2)
    assert done == []
    gate.set()
    producer.join(SECONDS)
    assert sorted(map(str, done)) == ["1", "2", "put"]
    assert done.index(1) < done.index(2)


def write(jobs, then=None):
    """Put the jobs, then raise an error in the caller if one is given."""
    with WriterThread() as writer:
        for job in jobs:
            writer.put(job)
        if then is not None:
            raise then


def held(gate, *jobs):
    """A job that waits, these jobs behind it, and the gate opened before more are taken."""
    first, second, *others = jobs
    yield lambda: (hold(gate), first())
    yield second
    gate.set()
    yield from others


def test_nothing_is_carried_out_after_a_job_that_failed(gate):
    done, error = [], OSError("full")
    jobs = [partial(fail, error), *(partial(done.append, number) for number in range(5))]
    with pytest.raises(OSError, match="full") as raised:
        write(held(gate, *jobs))
    assert raised.value is error
    assert done == []


def test_the_error_of_the_last_job_is_raised_at_the_end():
    with pytest.raises(OSError, match="full"):
        write([partial(fail, OSError("full"))])


def test_the_error_of_a_job_came_before_that_of_the_caller(gate):
    jobs = held(gate, partial(fail, OSError("full")), partial(int, 1))
    with pytest.raises(OSError, match="full"):
        write(jobs, then=ValueError("the next frame"))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_of_the_caller_the_jobs_are_still_carried_out(gate, error):
    done = []
    with pytest.raises(error):
        write(held(gate, partial(done.append, 1), partial(done.append, 2)), then=error("caller"))
    assert done == [1, 2]


def test_an_interruption_stays_one_if_a_job_fails(gate):
    jobs = held(gate, partial(fail, OSError("full")), partial(int, 1))
    with pytest.raises(KeyboardInterrupt):
        write(jobs, then=KeyboardInterrupt())


def test_a_signal_while_the_caller_waits_loses_no_job(gate):
    done = []

    def signalled():
        os.kill(os.getpid(), signal.SIGTERM)
        gate.set()

    sender = threading.Thread(target=signalled)

    def jobs():
        yield partial(hold, gate)
        yield partial(done.append, 1)
        sender.start()
        yield partial(done.append, 2)

    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(Ended), ended_by_signals():
            write(jobs())
    finally:
        sender.join(SECONDS)
        signal.signal(signal.SIGTERM, before)
    assert done[:1] == [1]
