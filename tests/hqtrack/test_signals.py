"""Signals that ask a process to end."""

import os
import signal

import pytest

from hqtrack.signals import Ended, ended_by_signals, uninterrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def own_handlers():
    """The handlers are those of a process on a terminal, and are the same afterwards."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_an_interruption_with_the_status_of_shells(number):
    with pytest.raises(KeyboardInterrupt) as ended, ended_by_signals():
        os.kill(os.getpid(), number)
    assert isinstance(ended.value, Ended)
    assert ended.value.status == 128 + number
    assert str(ended.value) == f"ended by {number.name}"
    assert signal.getsignal(number) == signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_so():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with ended_by_signals():
        os.kill(os.getpid(), signal.SIGHUP)


def test_a_block_is_finished_first():
    done = []

    def work():
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGTERM)
            with uninterrupted():
                done.append("inner")
            done.append("outer")
        done.append("more")

    with pytest.raises(Ended, match="SIGTERM"), ended_by_signals():
        work()
    assert done == ["inner", "outer"]
    with ended_by_signals(), uninterrupted():
        pass  # the signal came once
