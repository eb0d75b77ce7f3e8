"""The trace of a tracker process: a file with a line per frame, for ``hqtrack debug``."""

import json
import time
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
from numpy.typing import NDArray

from hqtrack.files import journal_lines
from hqtrack.selection import Selection
from hqtrack.stages import StageClock
from hqtrack.tracker import Step, Tracker, last_step
from hqtrack.types import Masks
from hqtrack.video.run_lengths import decode_mask, encode_mask


class TracedFrame(NamedTuple):
    """A frame of the trace.

    ``seconds``: per stage. ``tracked``: indices of the tracked objects. For these objects
    ``coarse`` and ``proposed`` are the masks of VMOS and HQ-SAM (``hqtrack.video.run_lengths``),
    ``refined`` says whether HQ-SAM's mask was chosen, and ``iou`` is the IoU of the two, in [0, 1].
    They are None if the tracker does not report them or nothing was refined. ``memory``: for each
    group of objects the frames read from long-term memory, and the one from short-term memory.
    """

    seconds: dict[str, float]
    tracked: list[int]
    refined: list[bool] | None
    iou: list[float] | None
    coarse: list[str] | None
    proposed: list[str] | None
    memory: list[tuple[list[int], int]]


class Trace:
    """Writes a line per reply of a session; see ``TraceReader``."""

    def __init__(self, file: TextIO, tracker: Tracker, clock: StageClock) -> None:
        """``clock``: the clock that times the session."""
        self._file = file
        self._tracker = tracker
        self._clock = clock

    def answered(self, tracked: NDArray[np.bool_]) -> None:
        """Write the line of a reply; ``tracked`` [N]: the objects that were tracked, not given."""
        step = last_step(self._tracker) if tracked.any() else None
        selection = None if step is None else step.selection
        proposed = None if step is None else step.refined
        frame = TracedFrame(
            {str(stage): seconds for stage, seconds in self._clock.take().items()},
            np.flatnonzero(tracked).tolist(),
            None if selection is None else selection.refined.tolist(),
            None if selection is None else selection.iou.tolist(),
            None if step is None else list(map(encode_mask, step.coarse)),
            None if proposed is None else list(map(encode_mask, proposed)),
            [] if step is None else [(list(read[0]), read[1]) for read in step.memory],
        )
        print(json.dumps(frame._asdict()), file=self._file, flush=True)


class TraceReader:
    """Reads a trace while another process writes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def read(self, timeout: float) -> TracedFrame | None:
        """The next frame; None if it does not come within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            line = next(journal_lines(self._path, self._position), None)
            if line is not None:
                self._position = line.end
                return TracedFrame(**line.value)
            if time.monotonic() > deadline:
                return None
            time.sleep(0.002)


def _step(traced: TracedFrame, coarse: list[str], size: tuple[int, ...]) -> Step:
    """The step of the tracker, for all objects up to the last one tracked."""
    from hqtrack.memory import MemoryFrames  # imports torch, which debugging itself does not need

    count = max(traced.tracked) + 1

    def spread(encoded: list[str]) -> Masks:
        masks = np.zeros((count, *size), np.bool_)
        masks[traced.tracked] = [decode_mask(text, size[0], size[1]) for text in encoded]
        return masks

    coarse_masks = spread(coarse)
    selection = proposed = None
    if traced.proposed is not None and traced.refined is not None and traced.iou is not None:
        proposed = spread(traced.proposed)
        refined, iou = np.zeros(count, np.bool_), np.zeros(count, np.float32)
        refined[traced.tracked], iou[traced.tracked] = traced.refined, traced.iou
        chosen = np.where(refined[:, None, None], proposed, coarse_masks)
        selection = Selection(chosen, refined, iou)
    memory = tuple(MemoryFrames(tuple(long), short) for long, short in traced.memory)
    return Step(coarse_masks, proposed, selection, memory)
