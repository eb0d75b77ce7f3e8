"""Where the time of a frame goes: a clock with one hand per stage, and a tracker under it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from functools import wraps
from typing import Any

from hqtrack.tracker import HQTracker, Tracker


class Stage(StrEnum):
    """What a tracker process does with a frame, in this order."""

    RECEIVE = "receive"
    ENCODE = "encode"
    PROPAGATE = "propagate"
    REFINE = "refine"
    SELECT = "select"
    ANSWER = "answer"


class StageClock:
    """Adds up the time of each stage; while one runs inside another, only the inner one counts."""

    def __init__(self, synchronize: Callable[[], None] = lambda: None) -> None:
        """``synchronize`` waits for the device; it is called where a stage begins or ends."""
        self._synchronize = synchronize
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
        now = time.perf_counter()
        if self._running:
            self._seconds[self._running[-1]] += now - self._since
        self._since = now


class Timed:
    """Something whose methods are stages; all else about it is as it was."""

    def __init__(self, target: Any, clock: StageClock, stages: Mapping[str, Stage]) -> None:
        """``stages``: the stage of each method, by its name."""
        self._target = target
        self._clock = clock
        self._stages = stages

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        stage = self._stages.get(name)
        if stage is None:
            return value

        @wraps(value)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self._clock.stage(stage):
                return value(*args, **kwargs)

        return timed


def watch(tracker: Tracker, clock: StageClock) -> Tracker:
    """Put the stages of HQTrack under the clock; other trackers have none of their own."""
    if isinstance(tracker, HQTracker):
        segmenter: Any = tracker.segmenter
        segmenter.model = Timed(segmenter.model, clock, {"encode": Stage.ENCODE})
        methods = ("add_reference", "add_objects", "propagate", "memorize")
        watched: Any = Timed(segmenter, clock, dict.fromkeys(methods, Stage.PROPAGATE))
        tracker.segmenter = watched
        if tracker.refiner is not None:
            refiner: Any = Timed(tracker.refiner, clock, {"refine": Stage.REFINE})
            tracker.refiner = refiner
    return tracker
