"""A workspace of the VOT toolkit: its trackers and experiments, and what state results are in."""

import os
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]
from vot import ToolkitException  # type: ignore[import-untyped]
from vot.experiment.multirun import UnsupervisedExperiment  # type: ignore[import-untyped]
from vot.region import Special  # type: ignore[import-untyped]
from vot.tracker import Trajectory  # type: ignore[import-untyped]
from vot.workspace import Workspace  # type: ignore[import-untyped]

from hqtrack.errors import InputError, MissingFileError
from hqtrack.provenance import Made, Provenance, identity, image_key, read_made
from hqtrack.vot import PRESETS

_CLOCK_SECONDS = 2.0


class State(StrEnum):
    """What there is of a tracker on a sequence, worst first."""

    MISSING = "missing"
    CORRUPT = "corrupt"
    STALE = "made by another version"
    UNSIGNED = "complete, made by nobody knows what"
    COMPLETE = "complete"

    @property
    def usable(self) -> bool:
        """Whether it needs no other run."""
        return self in (State.UNSIGNED, State.COMPLETE)


class Task(NamedTuple):
    """One sequence of one experiment for one tracker, each as the toolkit has it."""

    tracker: Any
    experiment: Any
    sequence: Any

    def __str__(self) -> str:
        return f"{self.tracker.reference} {self.experiment.identifier} {self.sequence.name}"


class Finding(NamedTuple):
    """The state of the results of a task, and what is wrong with them."""

    task: Task
    state: State
    detail: str = ""


def open_workspace(folder: Path) -> Any:
    """The workspace in a folder; nothing is downloaded.

    Raises MissingFileError where there is none or its sequences are not there, InputError where
    the toolkit cannot read it or it has an experiment that is not run over TraX with masks.
    """
    if not (folder / "config.yaml").is_file():
        raise MissingFileError(
            f"{folder} is no workspace of the VOT toolkit, it has no config.yaml: give one, or "
            "make one with `hqtrack workspace`"
        )
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text())
        sequences = folder / config.get("sequences", "sequences")
    except (AttributeError, yaml.YAMLError) as error:
        raise InputError(f"{folder}/config.yaml is no configuration: {error}") from error
    if not (sequences / "list.txt").is_file():
        raise MissingFileError(
            f"{sequences} has no list.txt: put the sequences there, or let "
            f"`vot evaluate --workspace {folder} TRACKER` download them"
        )
    try:
        workspace = Workspace.load(str(folder.absolute()))
    except (ToolkitException, OSError, ValueError, AssertionError) as error:
        raise InputError(f"the VOT toolkit cannot read the workspace {folder}: {error}") from error
    for experiment in workspace.stack:
        if not isinstance(experiment, UnsupervisedExperiment) or not experiment.multiobject:
            raise InputError(
                f"the experiment {experiment.identifier} of {folder} is not one of several objects "
                "given by masks, as in VOTS from 2023 on: give the workspace of such a stack"
            )
    return workspace


def find_trackers(workspace: Any, names: Sequence[str]) -> list[Any]:
    """The trackers of these names; InputError where one is not in the workspace's registry."""
    storage = workspace.storage.substorage("results")
    try:
        trackers = workspace.registry.resolve(*names, storage=storage, skip_unknown=False)
    except ToolkitException as error:
        known = ", ".join(workspace.registry.identifiers())
        raise InputError(f"{error}; the workspace knows {known or 'no trackers'}") from error
    if not trackers:
        raise InputError(f"no tracker is called {', '.join(names)}")
    return list(trackers)


def find_tasks(workspace: Any, trackers: Sequence[Any]) -> list[Task]:
    """All that has to be there of these trackers, in the toolkit's order.

    Raises InputError for a sequence whose objects are not given by masks.
    """
    tasks = []
    for experiment in workspace.stack:
        sequences = experiment.transform(workspace.dataset)
        for sequence in sequences:
            _check_regions(sequence)
        tasks += [Task(tracker, experiment, one) for tracker in trackers for one in sequences]
    return tasks


def _check_regions(sequence: Any) -> None:
    for name in sequence.objects():
        kinds = {type(region).__name__ for region in sequence.object(name)[:1]}
        if kinds - {"Mask", "Special"}:
            raise InputError(
                f"sequence {sequence.name} has objects of type {', '.join(kinds)}: HQTrack tracks "
                "masks; point and referral stacks cannot be run over TraX"
            )


def examine(tasks: Sequence[Task], logs: Path) -> Iterator[Finding]:
    """The state of the results of each task."""
    made = list(read_made(logs))
    identities: dict[str, Provenance | None] = {}
    for task in tasks:
        name = task.tracker.reference
        if name not in identities:
            identities[name] = _identity(task.tracker)
        yield _examine(task, made, identities[name])


def is_complete(task: Task) -> bool:
    """Whether the toolkit would not run the task again."""
    return bool(task.experiment.scan(task.tracker, task.sequence)[0])


def _examine(task: Task, made: Sequence[Made], now: Provenance | None) -> Finding:
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


def _damage(task: Task, files: Sequence[str], results: Any) -> str:
    """What is wrong with stored results; nothing if they are whole."""
    frames = len(task.sequence)
    for name in files:
        try:
            if name.endswith(".value"):
                with results.read(name) as file:
                    count = len(file.read().splitlines())
            else:
                count = _regions(results, name)
        except Exception as error:  # whatever the toolkit's reader runs into
            return f"{name} cannot be read ({type(error).__name__})"
        if count != frames:
            return f"{name} has {count} entries for {frames} frames"
    return ""


def _regions(results: Any, name: str) -> int:
    """The number of regions in a file, one of which is the object's start."""
    regions = Trajectory.read(results, name.rpartition(".")[0]).regions()
    starts = [r for r in regions if isinstance(r, Special) and r.code == Trajectory.INITIALIZATION]
    if len(starts) != 1:
        raise ValueError(f"the object starts {len(starts)} times")
    return len(regions)


def _written(results: Any, name: str) -> float:
    with results.read(name) as file:
        return Path(file.name).stat().st_mtime


def _identity(tracker: Any) -> Provenance | None:
    """What the tracker would sign with now; None for one that is not ours."""
    description = tracker.describe()
    preset = description["env"].get("HQTRACK_PRESET")
    if description["command"] != "hqtrack.vot" or preset not in PRESETS:
        return None
    try:
        return identity(PRESETS[preset], environment={**os.environ, **description["env"]})
    except MissingFileError:
        return None
