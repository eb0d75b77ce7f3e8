"""Where the time of a frame goes: whoever does a stage says so, and a clock may listen.

Segmenter, refiner and tracker wrap their work in ``with stage(Stage.ENCODE):``. That costs nothing
to speak of until ``timing`` sets a clock.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum


class Stage(StrEnum):
    """What a tracker does with a frame, in this order.

    ``decode`` is everything between the logits of VMOS and masks, and back when they enter memory;
    writing memory counts as ``propagate``; ``select`` is also what the tracker itself does.
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
    """Adds up the time of each stage; while one runs inside another, only the inner one counts.

    For one thread: stages that run concurrently cannot be told apart.
    """

    def __init__(
        self,
        synchronize: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``synchronize`` waits for the device; it is called where a stage begins or ends.

        ``now`` is the time in seconds.
        """
        self._synchronize = synchronize
        self._now = now
        self._seconds = dict.fromkeys(Stage, 0.0)
        self._running: list[Stage] = []
        self._since = 0.0

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Count what happens inside as part of this stage."""
        self._charge()
        self._running.append(stage)
        try:
            yield
        finally:
            self._charge()
            self._running.pop()

    def take(self) -> dict[Stage, float]:
        """Seconds per stage since this was last called."""
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
    """Let this clock time the stages of everything that is called inside.

    Meanwhile no stage runs concurrently with another, so a frame may take longer.
    """
    token = _clock.set(clock)
    try:
        yield
    finally:
        _clock.reset(token)


def is_timed() -> bool:
    """Whether a clock is set: then nothing may run concurrently with the caller."""
    return _clock.get() is not None


@contextmanager
def stage(stage: Stage) -> Iterator[None]:
    """Do this stage inside, or in a function that this decorates; a clock that is set times it.

    A thread of a pool starts without the clock of its caller.
    """
    clock = _clock.get()
    if clock is None:
        yield
        return
    with clock.stage(stage):
        yield
