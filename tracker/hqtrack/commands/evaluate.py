"""The command ``hqtrack evaluate``: does what ``vot evaluate`` does, on several devices."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from hqtrack.commands.findings import print_findings, refuse_broken
from hqtrack.evaluation.cluster import RayPool, cluster_workers, connected, local_workers
from hqtrack.evaluation.dispatch import dispatch
from hqtrack.evaluation.findings import State, examine
from hqtrack.evaluation.store import check_writable, results_of, store
from hqtrack.evaluation.worker import Job, Outcome, job_of
from hqtrack.evaluation.workspace import Task, find_tasks, find_trackers, open_workspace


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack evaluate``."""
    parser.add_argument(
        "--workspace", type=Path, default=Path(), metavar="DIR", help="(default: this folder)"
    )
    parser.add_argument("trackers", nargs="+", metavar="TRACKER", help="names in trackers.ini")
    parser.add_argument(
        "--devices",
        metavar="LIST",
        help="one worker per device, for example cuda:0,cuda:1 or cpu,cpu (default: all GPUs, or "
        "one worker on the CPU); in a cluster cuda,cuda,... or cpu,cpu,...",
    )
    parser.add_argument(
        "--address",
        metavar="RAY",
        help="address of a running Ray cluster (default: this machine only)",
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate what is missing or corrupt; 0 if then all results can be used, else 1."""
    workspace = open_workspace(args.workspace)
    trackers = find_trackers(workspace, args.trackers)
    tasks = find_tasks(workspace, trackers)
    logs = args.workspace / "logs"
    findings = list(examine(tasks, logs))
    refuse_broken(findings)
    todo = [f.task for f in findings if f.state in (State.MISSING, State.CORRUPT)]
    reasons: dict[Job, str] = {}
    if todo:
        for task in todo:
            check_writable(Path(results_of(task)))
        # otherwise the longest sequence might start last, while the other workers are idle
        todo.sort(key=lambda task: len(task.sequence), reverse=True)
        reasons = _evaluate(args, todo)
        findings = list(examine(tasks, logs))
    for index, finding in enumerate(findings):
        reason = reasons.get(job_of(finding.task), finding.detail)
        findings[index] = finding._replace(detail=reason)
    print_findings(findings)
    return 0 if all(finding.state.usable for finding in findings) else 1


def _evaluate(args: argparse.Namespace, todo: Sequence[Task]) -> dict[Job, str]:
    """Run the tasks and store their results; returns the reasons of those that failed."""
    by_job = {job_of(task): task for task in todo}
    reasons: dict[Job, str] = {}
    local = args.address is None
    specs = local_workers(args.devices, len(todo)) if local else []
    with connected(args.address, len(specs)) as ray:
        if not local:
            specs = cluster_workers(args.devices, ray.cluster_resources(), len(todo))
        pool = RayPool(ray, args.workspace, args.trackers, specs, local)
        with _Display(todo) as display:
            for job, outcome in dispatch(list(by_job), pool):
                task = by_job[job]
                if outcome.error:
                    reasons[job] = outcome.error
                store(task, outcome, args.workspace)
                display.done(task, outcome)
    return reasons


class _Display:
    """Shows on stderr how many sequences are done, the time left, and failures."""

    def __init__(self, todo: Sequence[Task]) -> None:
        self._frames = sum(len(task.sequence) for task in todo)
        self._done = 0
        self._start = time.monotonic()
        self._progress = Progress(
            TextColumn("sequences"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
        )
        self._bar = self._progress.add_task("", total=len(todo), left="")

    def __enter__(self) -> "_Display":
        self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._progress.stop()

    def done(self, task: Task, outcome: Outcome) -> None:
        """Count a task that is done or has finally failed."""
        self._done += len(task.sequence)
        left = time_left(time.monotonic() - self._start, self._done, self._frames)
        self._progress.update(self._bar, advance=1, left=left)
        if outcome.error:
            self._progress.console.print(f"{task}: {outcome.error}", markup=False)


def time_left(elapsed: float, done: int, total: int) -> str:
    """The time left as text, if the other frames take as long as those done in ``elapsed`` s."""
    minutes, seconds = divmod(round(elapsed / done * (total - done)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d} left" if done < total else ""
