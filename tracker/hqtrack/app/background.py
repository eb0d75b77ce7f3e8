"""Tracks a project in the background, one job at a time."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hqtrack.app.checkpoints import Checkpoints
from hqtrack.app.follow import Stopped, track
from hqtrack.errors import InputError, one_line
from hqtrack.runs.plan import RunPlan
from hqtrack.tracker import Tracker


@dataclass
class Job:
    """The tracking that runs, up to frame ``to``.

    frame: the last one that is done; replaying: whether it was finished before, and is only read
    again. begun: the time in seconds, and the frame, when the first new one was done.
    """

    to: int
    frame: int = 0
    replaying: bool = True
    begun: tuple[float, int] | None = None
    stop: bool = False

    def advance(self, frame: int, replayed: bool) -> None:
        """Note a frame that is done."""
        self.frame, self.replaying = frame, replayed
        if self.begun is None and not replayed:
            self.begun = (time.monotonic(), frame)

    def content(self) -> dict[str, Any]:
        """What the page shows of it."""
        left = None
        if self.begun is not None and self.frame > self.begun[1]:
            pace = (time.monotonic() - self.begun[0]) / (self.frame - self.begun[1])
            left = round(pace * (self.to - self.frame), 1)
        return {
            "frame": self.frame,
            "to": self.to,
            "replaying": self.replaying,
            "seconds_left": left,
        }


class Background:
    """Owns the tracker, its saved states and the thread in which it works."""

    def __init__(
        self,
        build: Callable[[RunPlan], Tracker],
        advanced: Callable[[Job], None],
        ended: Callable[[str], None],
    ) -> None:
        """``build`` loads the tracker of a plan, when the first job needs it.

        ``advanced`` is called in the thread after each frame, ``ended`` after the job, with what
        went wrong or an empty text. Whoever calls ``begin`` and ``end`` guards ``job`` by a lock.
        """
        self._build = build
        self._advanced = advanced
        self._ended = ended
        self._checkpoints = Checkpoints()
        self._tracker: Tracker | None = None
        self._thread: threading.Thread | None = None
        self.job: Job | None = None

    def check_idle(self) -> None:
        """Raise InputError while a job runs."""
        if self.job is not None:
            raise InputError("the video is being tracked: stop it first")

    def forget(self, frame: int) -> None:
        """Forget what the tracker knows of frame ``frame`` and later ones: masks have changed."""
        self._checkpoints.cut(frame)

    def begin(self, plan: RunPlan, to: int, last: int, ready: Callable[[], None]) -> None:
        """Track a plan up to frame ``to`` of a video with ``last`` frames; no job may run.

        ``ready`` is called in the thread, before the first frame.
        """
        self.job = Job(to)
        self._thread = threading.Thread(target=self._run, args=(plan, self.job, last, ready))
        self._thread.start()

    def stop(self) -> None:
        """Stop after the present frame."""
        if self.job is not None:
            self.job.stop = True

    def wait(self) -> None:
        """Wait until nothing is tracked."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, plan: RunPlan, job: Job, last: int, ready: Callable[[], None]) -> None:
        def told(frame: int, replayed: bool) -> None:
            job.advance(frame, replayed)
            self._advanced(job)
            if job.stop:
                raise Stopped

        error = ""
        try:
            ready()
            track(plan, lambda: self._loaded(plan), self._checkpoints, job.to, last, told)
        except Stopped:
            pass
        except Exception as failure:  # whatever it is, the page has to say it
            error = one_line(failure)
        self._ended(error)

    def _loaded(self, plan: RunPlan) -> Tracker:
        """The tracker, which is loaded once; the saved states are those of it."""
        if self._tracker is None:
            self._tracker = self._build(plan)
        return self._tracker
