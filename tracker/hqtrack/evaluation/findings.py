"""The state of a workspace's results: complete, missing, damaged or made by another tracker."""

import os
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from vot.region import Special  # type: ignore[import-untyped]
from vot.tracker import Trajectory  # type: ignore[import-untyped]

from hqtrack import environment
from hqtrack.errors import MissingFileError
from hqtrack.evaluation.trajectory_files import examine_binary, examine_text
from hqtrack.evaluation.workspace import Broken, Task
from hqtrack.presets import PRESETS
from hqtrack.video import is_hidden
from hqtrack.vot.provenance import Made, Provenance, identity, image_key, read_made

_CLOCK_SECONDS = 2.0


class State(StrEnum):
    """The state of a tracker's results on a sequence, the worst first."""

    BROKEN = "the sequence is not intact"
    MISSING = "missing"
    CORRUPT = "corrupt"
    STALE = "made by another version"
    UNSIGNED = "complete, of unknown origin"
    COMPLETE = "complete"

    @property
    def usable(self) -> bool:
        """Whether the results can be used without another run."""
        return self in (State.UNSIGNED, State.COMPLETE)


class Finding(NamedTuple):
    """The state of the results of a task, and what is wrong with them."""

    task: Task
    state: State
    detail: str = ""


def examine(tasks: Sequence[Task], logs: Path) -> Iterator[Finding]:
    """The state of the results of each task."""
    made = list(read_made(logs))
    identities: dict[str, Provenance | None] = {}
    for task in tasks:
        name = task.tracker.reference
        if name not in identities:
            identities[name] = _identity(task.tracker)
        yield _examine(task, made, identities[name])


def _examine(task: Task, made: Sequence[Made], now: Provenance | None) -> Finding:
    if isinstance(task.sequence, Broken):
        return Finding(task, State.BROKEN, task.sequence.trouble)
    # before the toolkit decodes them
    if wrong := _unsafe(Path(task.experiment.results(task.tracker, task.sequence)._storage.base)):
        return Finding(task, State.CORRUPT, wrong)
    complete, files, results = task.experiment.scan(task.tracker, task.sequence)
    if not complete:
        there = len([name for name in files if not name.endswith(".value")])
        return Finding(task, State.MISSING, f"only {there} of its objects" if there else "")
    if wrong := _damage(task, files, results):
        return Finding(task, State.CORRUPT, wrong)
    if now is None:
        return Finding(task, State.COMPLETE)
    written = min(_written(results, name) for name in files)
    key = image_key(Path(task.sequence.frame(0).filename("color")))
    signed = [
        one
        for one in made
        if one.image == key
        and one.by.tracker == now.tracker
        and one.time < written + _CLOCK_SECONDS
    ]
    if not signed:
        return Finding(task, State.UNSIGNED)
    if differences := max(signed, key=lambda one: one.time).by.differences(now):
        return Finding(task, State.STALE, "; ".join(differences))
    return Finding(task, State.COMPLETE)


def _unsafe(folder: Path) -> str:
    """The fault of a result file that the toolkit could not decode; an empty string if none."""
    for path in sorted(folder.glob("*")) if folder.is_dir() else []:
        if is_hidden(path):
            continue
        try:
            if path.suffix == ".bin":
                examine_binary(path.read_bytes())
            elif path.suffix == ".txt":
                examine_text(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
        except (OSError, ValueError) as error:
            return f"{path.name} cannot be read ({error})"
    return ""


def _damage(task: Task, files: Sequence[str], results: Any) -> str:
    """The fault of stored results; an empty string if they are intact."""
    frames = len(task.sequence)
    for name in files:
        try:
            if name.endswith(".value"):
                with results.read(name) as file:
                    count = len(file.read().splitlines())
            else:
                count = _regions(results, name)
        except Exception as error:  # the toolkit's reader raises many types
            return f"{name} cannot be read ({type(error).__name__})"
        if count != frames:
            return f"{name} has {count} entries for {frames} frames"
    return ""


def _regions(results: Any, name: str) -> int:
    """The number of regions in a file; raises ValueError unless the object starts once."""
    regions = Trajectory.read(results, name.rpartition(".")[0]).regions()
    starts = [r for r in regions if isinstance(r, Special) and r.code == Trajectory.INITIALIZATION]
    if len(starts) != 1:
        raise ValueError(f"the object starts {len(starts)} times")
    return len(regions)


def _written(results: Any, name: str) -> float:
    with results.read(name) as file:
        return Path(file.name).stat().st_mtime


def _identity(tracker: Any) -> Provenance | None:
    """The present provenance of the tracker; None if it is not ours or lacks a file."""
    description = tracker.describe()
    # only what the registry says: the preset of this process is not that of the tracker
    preset = environment.read(description["env"]).preset
    if description["command"] != "hqtrack.vot" or preset not in PRESETS:
        return None
    settings = environment.read({**os.environ, **description["env"]})
    try:
        return identity(PRESETS[preset].tracker, settings=settings)
    except MissingFileError:
        return None
