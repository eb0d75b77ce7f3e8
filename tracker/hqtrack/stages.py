"""Where the time of a frame goes: a clock with one hand per stage, and a tracker under it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from functools import wraps
from typing import Any

from hqtrack.tracker import HQTracker, Tracker


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


_MODEL = {"encode": Stage.ENCODE} | dict.fromkeys(
    ("reference", "propagate", "memorize"), Stage.PROPAGATE
)
_SEGMENTER = dict.fromkeys(("add_reference", "add_objects", "propagate", "memorize"), Stage.DECODE)


def watch(tracker: Tracker, clock: StageClock) -> Tracker:
    """Put the stages of HQTrack under the clock; other trackers have none of their own.

    None runs beside another from now on.
    """
    if not isinstance(tracker, HQTracker):
        return tracker
    tracker.ahead = False
    segmenter: Any = tracker.segmenter
    segmenter.model = Timed(segmenter.model, clock, _MODEL)
    preparing = Timed(segmenter, clock, {"_encode": Stage.PREPROCESS})
    segmenter._encode = preparing._encode
    watched: Any = Timed(segmenter, clock, _SEGMENTER)
    tracker.segmenter = watched
    if tracker.refiner is not None:
        refiner: Any = tracker.refiner
        refiner._model = Timed(refiner._model, clock, {"embed": Stage.SAM_ENCODE})
        refining: Any = Timed(refiner, clock, {"refine": Stage.SAM_DECODE})
        tracker.refiner = refining
    return tracker
