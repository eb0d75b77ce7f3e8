"""The command ``hqtrack evaluate``: what ``vot evaluate`` does, on every device there is."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from hqtrack.challenge import (
    State,
    Task,
    examine,
    find_tasks,
    find_trackers,
    open_workspace,
)
from hqtrack.check import print_findings
from hqtrack.cluster import Post, RayPool, connected
from hqtrack.dispatch import dispatch
from hqtrack.errors import InputError
from hqtrack.threads import threads_for
from hqtrack.worker import Order, Outcome, order_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack evaluate``."""
    parser.add_argument(
        "--workspace", type=Path, default=Path(), metavar="DIR", help="(default: this folder)"
    )
    parser.add_argument("trackers", nargs="+", metavar="TRACKER", help="names in trackers.ini")
    parser.add_argument(
        "--devices",
        metavar="LIST",
        help="a worker for each of these, for example cuda:0,cuda:1 or cpu,cpu (default: all GPUs, "
        "or one worker on the CPU); in a cluster cuda,cuda,... or cpu,cpu,...",
    )
    parser.add_argument(
        "--address", metavar="RAY", help="of a running Ray cluster (default: this machine only)"
    )


def run(args: argparse.Namespace) -> int:
    """Run what is missing or corrupt; 0 when all results are there and usable, else 1."""
    workspace = open_workspace(args.workspace)
    trackers = find_trackers(workspace, args.trackers)
    tasks = find_tasks(workspace, trackers)
    logs = args.workspace / "logs"
    findings = list(examine(tasks, logs))
    todo = [f.task for f in findings if f.state in (State.MISSING, State.CORRUPT)]
    reasons: dict[Order, str] = {}
    if todo:
        for task in todo:
            check_writable(Path(results_of(task)))
        # so that no worker waits for the longest at the end
        todo.sort(key=lambda task: len(task.sequence), reverse=True)
        reasons = _evaluate(args, todo)
        findings = list(examine(tasks, logs))
    for index, finding in enumerate(findings):
        reason = reasons.get(order_of(finding.task), finding.detail)
        findings[index] = finding._replace(detail=reason)
    print_findings(findings)
    return 0 if all(finding.state.usable for finding in findings) else 1


def _evaluate(args: argparse.Namespace, todo: Sequence[Task]) -> dict[Order, str]:
    """Run the tasks and store their results; why they failed, for those that did."""
    by_order = {order_of(task): task for task in todo}
    reasons: dict[Order, str] = {}
    local = args.address is None
    posts = local_posts(args.devices, len(todo)) if local else []
    with connected(args.address, len(posts)) as ray:
        if not local:
            posts = cluster_posts(args.devices, ray.cluster_resources(), len(todo))
        pool = RayPool(ray, args.workspace, args.trackers, posts, local)
        with _Display(todo) as display:
            for order, outcome in dispatch(list(by_order), pool):
                task = by_order[order]
                if outcome.error:
                    reasons[order] = outcome.error
                store(task, outcome, args.workspace)
                display.done(task, outcome)
    return reasons


def local_posts(devices: str | None, tasks: int) -> list[Post]:
    """The workers on this machine: one per device, no more than there are tasks.

    Those on the CPU share its cores. Raises InputError for a device that does not exist.
    """
    from hqtrack.build import choose_device

    if devices is None:
        names = _all_devices()
    else:
        names = [name.strip() for name in devices.split(",")]
        for name in sorted(set(names)):
            choose_device(name)
    names = names[:tasks]
    threads = str(threads_for(len(names)))
    return [Post(1, 0, {"HQTRACK_DEVICE": name, "OMP_NUM_THREADS": threads}) for name in names]


def _all_devices() -> list[str]:
    import torch

    return [f"cuda:{index}" for index in range(torch.cuda.device_count())] or ["cpu"]


def cluster_posts(devices: str | None, resources: dict[str, float], tasks: int) -> list[Post]:
    """The workers in a cluster with these resources: by default one per GPU.

    Raises InputError for devices that it does not have.
    """
    gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
    names = ["cuda"] * gpus or ["cpu"]
    if devices is not None:
        names = [name.strip() for name in devices.split(",")]
    unknown = sorted(set(names) - {"cuda", "cpu"})
    if unknown:
        raise InputError(
            f"--devices {','.join(unknown)} with --address: in a cluster Ray chooses the devices; "
            "give cuda or cpu, once for each worker"
        )
    if names.count("cuda") > gpus or len(names) > cpus:
        raise InputError(
            f"--devices asks for {names.count('cuda')} GPUs and {len(names)} CPU cores, and the "
            f"cluster has {gpus} and {cpus}: give fewer"
        )
    return [Post(1, name == "cuda", {"HQTRACK_DEVICE": name}) for name in names[:tasks]]


def results_of(task: Task) -> str:
    """The folder of a task's results."""
    base: str = task.experiment.results(task.tracker, task.sequence)._storage.base
    return base


def check_writable(folder: Path) -> None:
    """Raise InputError unless files can be written to the folder, which may have to be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.write_bytes(bytes(4096))
        probe.unlink()
    except OSError as error:
        raise _not_written(folder, error) from error


def store(task: Task, outcome: Outcome, workspace: Path) -> None:
    """Put results where the toolkit would, and logs too.

    Masks come last, and each file at once: the toolkit takes a sequence with masks for done.
    Raises InputError where that cannot be written.
    """
    folder = Path(results_of(task))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not outcome.error:
            for name in sorted(outcome.files, key=lambda name: not name.endswith(".value")):
                partial = folder / f"{name}.partial"
                try:
                    partial.write_bytes(outcome.files[name])
                    partial.replace(folder / name)
                finally:
                    partial.unlink(missing_ok=True)
        (workspace / "logs").mkdir(exist_ok=True)
        for name, content in outcome.signed.items():
            with (workspace / "logs" / name).open("ab", buffering=0) as file:
                file.write(content)
        if outcome.log:
            with task.experiment.log(task.tracker.identifier) as file:
                file.write(outcome.log)
    except OSError as error:
        raise _not_written(folder, error) from error


def _not_written(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"cannot write results to {folder}: {error.strerror}; make room or allow it, then run this "
        "again: what is done stays done"
    )


class _Display:
    """How many sequences are done, the time left, and what failed, on stderr."""

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
        """A task is done or given up."""
        self._done += len(task.sequence)
        left = time_left(time.monotonic() - self._start, self._done, self._frames)
        self._progress.update(self._bar, advance=1, left=left)
        if outcome.error:
            self._progress.console.print(f"{task}: {outcome.error}", markup=False)


def time_left(elapsed: float, done: int, total: int) -> str:
    """Words for the time that the other frames will take if they take as long as these, in s."""
    minutes, seconds = divmod(round(elapsed / done * (total - done)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d} left" if done < total else ""
