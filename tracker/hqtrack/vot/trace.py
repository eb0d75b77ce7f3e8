"""The trace of a tracker process: a file with a line per frame, for ``hqtrack debug``."""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hqtrack.files import Journal, journal_lines
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

    def step(self, size: tuple[int, ...]) -> Step | None:
        """The step of the tracker, for all objects up to the last one tracked.

        ``size``: (height, width) of the frame. None if the tracker does not tell.
        """
        if self.coarse is None:
            return None
        from hqtrack.memory import MemoryFrames  # imports torch, which debugging does not need

        coarse = self._spread(self.coarse, size)
        selection = proposed = None
        if self.proposed is not None and self.refined is not None and self.iou is not None:
            proposed = self._spread(self.proposed, size)
            refined, iou = np.zeros(len(coarse), np.bool_), np.zeros(len(coarse), np.float32)
            refined[self.tracked], iou[self.tracked] = self.refined, self.iou
            chosen = np.where(refined[:, None, None], proposed, coarse)
            selection = Selection(chosen, refined, iou)
        memory = tuple(MemoryFrames(tuple(long), short) for long, short in self.memory)
        return Step(coarse, proposed, selection, memory)

    def _spread(self, encoded: list[str], size: tuple[int, ...]) -> Masks:
        masks = np.zeros((max(self.tracked) + 1, *size), np.bool_)
        masks[self.tracked] = [decode_mask(text, size[0], size[1]) for text in encoded]
        return masks


class Trace:
    """Writes a line per reply of a session; see ``TraceReader``."""

    def __init__(self, journal: Journal, tracker: Tracker, clock: StageClock) -> None:
        """``clock``: the clock that times the session."""
        self._journal = journal
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
        self._journal.append(frame._asdict())


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
