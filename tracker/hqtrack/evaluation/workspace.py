"""A workspace of the VOT toolkit: its trackers and experiments, and what state results are in."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]
from vot import ToolkitException  # type: ignore[import-untyped]
from vot.experiment.multirun import UnsupervisedExperiment  # type: ignore[import-untyped]
from vot.workspace import Workspace  # type: ignore[import-untyped]

from hqtrack.errors import InputError, MissingFileError


class Task(NamedTuple):
    """One sequence of one experiment for one tracker, each as the toolkit has it."""

    tracker: Any
    experiment: Any
    sequence: Any

    def __str__(self) -> str:
        return f"{self.tracker.reference} {self.experiment.identifier} {self.sequence.name}"


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


def is_complete(task: Task) -> bool:
    """Whether the toolkit would not run the task again."""
    return bool(task.experiment.scan(task.tracker, task.sequence)[0])
