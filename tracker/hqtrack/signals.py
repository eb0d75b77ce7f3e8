"""Signals that ask a process to end: SIGINT, SIGTERM and SIGHUP; only the standard library."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """A signal asks this process to end; whoever stops for Ctrl-C stops for it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number
        self.status = 128 + number
        """The exit status by which shells know the signal."""


class _Delivery:
    """How many blocks wait to finish, and the signal that came meanwhile."""

    def __init__(self) -> None:
        self.blocks = 0
        self.waiting: int | None = None

    def end(self, number: int, _: FrameType | None) -> None:
        if self.blocks:
            self.waiting = number
        else:
            raise Ended(number)


_delivery = _Delivery()


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise Ended inside where SIGTERM, SIGINT or SIGHUP comes; one that is ignored stays so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _delivery.end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let the block finish before Ended is raised; for short blocks.

    Only the main thread runs signal handlers, so in another thread this changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _delivery.blocks += 1
    try:
        yield
    finally:
        _delivery.blocks -= 1
        if not _delivery.blocks and _delivery.waiting is not None:
            number, _delivery.waiting = _delivery.waiting, None
            raise Ended(number)
