"""A worker: runs jobs, one after the other, through the toolkit's own experiments."""

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

from hqtrack.environment import Variable
from hqtrack.evaluation.workspace import Broken, Task, find_tasks, find_trackers, open_workspace


class Job(NamedTuple):
    """The names of a task: reference of the tracker, experiment, sequence."""

    tracker: str
    experiment: str
    sequence: str


class Outcome(NamedTuple):
    """The outcome of a job.

    ``files``: the content of each result file; ``signed``: the tracker's provenance files.
    ``error`` is empty if the results are there; ``log`` is the tracker's output, if the toolkit
    kept it.
    """

    files: dict[str, bytes]
    signed: dict[str, bytes]
    error: str = ""
    log: str = ""


def job_of(task: Task) -> Job:
    """The names of a task."""
    return Job(task.tracker.reference, task.experiment.identifier, task.sequence.name)


class Worker:
    """Runs jobs in a separate process; its trackers inherit the environment of the process."""

    def __init__(
        self, workspace: Path, trackers: list[str], environment: Mapping[str, str]
    ) -> None:
        os.environ.update(environment)
        _repair_realtime()
        opened = open_workspace(workspace)
        tasks = find_tasks(opened, find_trackers(opened, trackers))
        self._tasks = {job_of(task): task for task in tasks}

    def run(self, job: Job) -> Outcome:
        """Run the sequence and return the results; store nothing in the workspace."""
        task = self._tasks[job]
        if isinstance(task.sequence, Broken):  # on the machine of this worker
            return Outcome({}, {}, task.sequence.trouble)
        with tempfile.TemporaryDirectory(prefix="hqtrack-") as folder:
            os.environ[Variable.WORKSPACE] = folder
            tracker = copy.copy(task.tracker)
            # the experiment writes and looks for the results of this tracker here
            tracker._storage = LocalStorage(folder)
            error, log = "", ""
            try:
                task.experiment.execute(tracker, task.sequence)
            except TrackerException as failure:
                error, log = str(failure), str(failure.log or "")
            except (
                Exception
            ) as failure:  # the toolkit also lets other exceptions pass, such as assertions
                error, log = _last_line(failure), traceback.format_exc()
            results = Path(folder) / "results" / job.tracker / job.experiment / job.sequence
            return Outcome(_content(results), _content(Path(folder) / "logs"), error, log)


def _repair_realtime() -> None:
    """Add the missing ``run`` to the real-time runtime of toolkit 0.9.0."""
    if "run" not in vars(RealtimeTrackerRuntime):
        RealtimeTrackerRuntime.run = OnlineTrackerRuntime.run


def _content(folder: Path) -> dict[str, bytes]:
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return {path.name: path.read_bytes() for path in paths}


def _last_line(failure: Exception) -> str:
    return traceback.format_exception_only(failure)[-1].strip()
