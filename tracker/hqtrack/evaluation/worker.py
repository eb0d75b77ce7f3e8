"""Runs one sequence after the other through the toolkit's own experiments, for a coordinator."""

import copy
import os
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from vot.tracker import (  # type: ignore[import-untyped]
    OnlineTrackerRuntime,
    RealtimeTrackerRuntime,
    TrackerException,
)
from vot.workspace import LocalStorage  # type: ignore[import-untyped]

from hqtrack.evaluation.workspace import Broken, Task, find_tasks, find_trackers, open_workspace


class Job(NamedTuple):
    """A task by its names: reference of the tracker, experiment, sequence."""

    tracker: str
    experiment: str
    sequence: str


class Outcome(NamedTuple):
    """What came of a job.

    ``files``: the content of each file of results; ``signed``: what the tracker wrote of itself.
    ``error`` is empty when the results are there; ``log`` is what the tracker printed, where the
    toolkit kept it.
    """

    files: dict[str, bytes]
    signed: dict[str, bytes]
    error: str = ""
    log: str = ""


def job_of(task: Task) -> Job:
    """The names of a task."""
    return Job(task.tracker.reference, task.experiment.identifier, task.sequence.name)


class Worker:
    """Lives in a process of its own, whose environment is that of the trackers it starts."""

    def __init__(
        self, workspace: Path, trackers: list[str], environment: Mapping[str, str]
    ) -> None:
        os.environ.update(environment)
        _repair_realtime()
        opened = open_workspace(workspace)
        tasks = find_tasks(opened, find_trackers(opened, trackers))
        self._tasks = {job_of(task): task for task in tasks}

    def run(self, job: Job) -> Outcome:
        """Run the sequence; the results are handed back, nothing is stored in the workspace."""
        task = self._tasks[job]
        if isinstance(task.sequence, Broken):  # on the machine of this worker
            return Outcome({}, {}, task.sequence.trouble)
        with tempfile.TemporaryDirectory(prefix="hqtrack-") as folder:
            os.environ["HQTRACK_WORKSPACE"] = folder
            tracker = copy.copy(task.tracker)
            # where the experiment puts this tracker's results, and looks for them
            tracker._storage = LocalStorage(folder)
            error, log = "", ""
            try:
                task.experiment.execute(tracker, task.sequence)
            except TrackerException as failure:
                error, log = str(failure), str(failure.log or "")
            except Exception as failure:  # the toolkit lets assertions and others of its own pass
                error, log = _last_line(failure), traceback.format_exc()
            results = Path(folder) / "results" / job.tracker / job.experiment / job.sequence
            return Outcome(_content(results), _content(Path(folder) / "logs"), error, log)


def _repair_realtime() -> None:
    """Give the toolkit's real-time runtime the ``run`` that it lacks in 0.9.0."""
    if "run" not in vars(RealtimeTrackerRuntime):
        RealtimeTrackerRuntime.run = OnlineTrackerRuntime.run


def _content(folder: Path) -> dict[str, bytes]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name: path.read_bytes() for path in paths}


def _last_line(failure: Exception) -> str:
    return traceback.format_exception_only(failure)[-1].strip()
