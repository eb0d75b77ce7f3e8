"""Measures the time of each stage of a frame.

Segmenter, refiner and tracker wrap their work in ``with stage(Stage.ENCODE):``. This costs almost
nothing until ``timing`` sets a clock.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum


class Stage(StrEnum):
    """The stages of a frame, in this order.

    ``decode`` converts the logits of VMOS to masks, and masks to labels for memory. ``propagate``
    includes writing memory. ``select`` includes the work of the tracker itself.
    """

    READ = "read"
    PREPROCESS = "preprocess"
    ENCODE = "encode"
    PROPAGATE = "propagate"
    DECODE = "decode"
    SAM_ENCODE = "SAM-encode"
    SAM_DECODE = "SAM-decode"
    SELECT = "select"
    ANSWER = "answer"


class StageClock:
    """Adds up the time of each stage; if one runs inside another, only the inner one counts.

    For one thread: it cannot separate stages that run concurrently.
    """

    def __init__(
        self,
        synchronize: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``synchronize`` waits for the device; the clock calls it when a stage begins or ends.

        ``now`` is the time in seconds.
        """
        self._synchronize = synchronize
        self._now = now
        self._seconds = dict.fromkeys(Stage, 0.0)
        self._running: list[Stage] = []
        self._since = 0.0

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Count the time inside as part of this stage."""
        self._charge()
        self._running.append(stage)
        try:
            yield
        finally:
            self._charge()
            self._running.pop()

    def take(self) -> dict[Stage, float]:
        """Seconds per stage since the last call."""
        taken, self._seconds = self._seconds, dict.fromkeys(Stage, 0.0)
        return taken

    def _charge(self) -> None:
        self._synchronize()
        now = self._now()
        if self._running:
            self._seconds[self._running[-1]] += now - self._since
        self._since = now


_clock: ContextVar[StageClock | None] = ContextVar("hqtrack.stages", default=None)


@contextmanager
def timing(clock: StageClock) -> Iterator[None]:
    """Let this clock time all stages inside.

    No stages run concurrently meanwhile, so a frame may take longer.
    """
    token = _clock.set(clock)
    try:
        yield
    finally:
        _clock.reset(token)


def is_timed() -> bool:
    """Whether a clock is set; if so, nothing may run concurrently with the caller."""
    return _clock.get() is not None


@contextmanager
def stage(stage: Stage) -> Iterator[None]:
    """Mark the code inside, or a decorated function, as this stage, for the clock if one is set.

    A thread of a pool does not inherit the clock of its caller.
    """
    clock = _clock.get()
    if clock is None:
        yield
        return
    with clock.stage(stage):
        yield
