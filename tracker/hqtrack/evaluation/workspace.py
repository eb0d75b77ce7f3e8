"""A workspace of the VOT toolkit: its trackers, its experiments and their tasks."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from vot import ToolkitException  # type: ignore[import-untyped]
from vot import config as toolkit
from vot.dataset import load_sequence  # type: ignore[import-untyped]
from vot.experiment.multirun import UnsupervisedExperiment  # type: ignore[import-untyped]
from vot.stack import Stack, resolve_stack  # type: ignore[import-untyped]
from vot.tracker import Registry  # type: ignore[import-untyped]
from vot.workspace import LocalStorage  # type: ignore[import-untyped]

from hqtrack.errors import InputError, MissingFileError
from hqtrack.evaluation.sequence_files import Listed, listed_sequences, sequences_folder
from hqtrack.evaluation.yaml_files import read_yaml

_SETTINGS = {"registry", "stack", "sequences", "report"}


class Broken(NamedTuple):
    """A sequence that cannot be used, the reason, and the remedy."""

    name: str
    trouble: str


class Task(NamedTuple):
    """One sequence of one experiment for one tracker.

    They are objects of the toolkit, except for a ``Broken`` sequence.
    """

    tracker: Any
    experiment: Any
    sequence: Any

    def __str__(self) -> str:
        return f"{self.tracker.reference} {self.experiment.identifier} {self.sequence.name}"


@dataclass(frozen=True)
class Workspace:
    """The parts of a workspace that hqtrack uses, read without running anything that it names.

    ``sequences`` are objects of the toolkit, in the order of list.txt, or ``Broken``.
    """

    registry: Any
    stack: Any
    storage: Any
    sequences: Sequence[Any]


def open_workspace(folder: Path) -> Workspace:
    """Open the workspace in a folder; downloads nothing and runs nothing that it names.

    Raises MissingFileError if there is no workspace or it has no sequences. Raises InputError if
    the toolkit could not read it, if it has no experiment, or if an experiment does not use masks
    over TraX. A sequence that cannot be read is not an error, but ``Broken``.
    """
    if not (folder / "config.yaml").is_file():
        raise MissingFileError(
            f"{folder} is not a workspace of the VOT toolkit, it has no config.yaml: give one, or "
            "make one with `hqtrack workspace`"
        )
    config = read_yaml(folder / "config.yaml")
    if unknown := sorted(config.keys() - _SETTINGS):
        raise InputError(
            f"{folder / 'config.yaml'}: the toolkit does not know {', '.join(unknown)}; remove it"
        )
    sequences = sequences_folder(folder)
    if not (sequences / "list.txt").is_file():
        raise MissingFileError(
            f"{sequences} has no list.txt: put the sequences there, or let "
            f"`vot evaluate --workspace {folder} TRACKER` download them"
        )
    home = folder.absolute()
    stack = _read_stack(home, config.get("stack"))
    storage = LocalStorage(str(home))
    for experiment in stack:
        if not isinstance(experiment, UnsupervisedExperiment) or not experiment.multiobject:
            raise InputError(
                f"the experiment {experiment.identifier} of {folder} is not one of several objects "
                "given by masks, as in VOTS from 2023 on: give the workspace of such a stack"
            )
        # as the toolkit's own Workspace does
        experiment._storage = storage
    found = [_load(one) for one in listed_sequences(sequences)]
    return Workspace(_read_registry(home, config.get("registry", [])), stack, storage, found)


def _read_stack(home: Path, named: Any) -> Any:
    """The stack of a workspace, from its own file, its configuration or the toolkit."""
    where, settings = home / "config.yaml", named
    if isinstance(named, str):
        path = resolve_stack(named, str(home))
        if path is None:
            raise InputError(
                f"{where}: there is no stack {named}: give one of `vot list --stacks`, or the path "
                "of a file"
            )
        where = Path(path)
        settings = read_yaml(where)
    if not isinstance(settings, dict):
        raise InputError(f"{where}: stack has to be the name of a stack or of a file")
    try:
        stack = Stack(**settings)
        count = len(stack)
    except Exception as error:  # the toolkit raises many types
        raise InputError(
            f"{where}: the VOT toolkit cannot read the stack ({_said(error)}); correct it"
        ) from error
    if not count:
        raise InputError(f"{where}: the stack has no experiments, so there is nothing to do")
    stack._name = named if isinstance(named, str) else None
    return stack


def _read_registry(home: Path, named: Any) -> Any:
    """The trackers of a workspace, with those that the toolkit's environment adds."""
    paths = named.split(os.pathsep) if isinstance(named, str) else named
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise InputError(f"{home / 'config.yaml'}: registry has to be a list of paths")
    places = [Path(os.path.normpath(home / path)) for path in paths]
    places += [Path(os.path.abspath(path)) for path in toolkit.registry]
    for place in places:
        path = place / "trackers.yaml" if place.is_dir() else place
        if path.suffix == ".yaml" and path.is_file():
            read_yaml(path)
    try:
        return Registry([str(place) for place in places], root=str(home))
    except Exception as error:  # whatever the toolkit runs into
        raise InputError(
            f"the VOT toolkit cannot read {', '.join(map(str, paths))} of {home} "
            f"({_said(error)}): correct the description of the trackers"
        ) from error


def _load(listed: Listed) -> Any:
    """The toolkit's sequence, or ``Broken``."""
    if listed.trouble:
        return Broken(listed.name, listed.trouble)
    try:
        sequence = load_sequence(str(listed.folder))
        names, count = sequence.objects(), len(sequence)
        kinds = {type(region).__name__ for name in names for region in sequence.object(name)[:1]}
    except Exception as error:  # whatever the toolkit's reader runs into
        return Broken(listed.name, f"the toolkit cannot read it ({_said(error)}); copy it again")
    if not count or not names:
        return Broken(listed.name, f"it has {count} images and {len(names)} objects; copy it again")
    if others := kinds - {"Mask", "Special"}:
        return Broken(
            listed.name,
            f"it has objects of type {', '.join(sorted(others))}: HQTrack tracks masks; point and "
            "referral stacks cannot be run over TraX",
        )
    return sequence


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def find_trackers(workspace: Workspace, names: Sequence[str]) -> list[Any]:
    """The trackers of these names; raises InputError if the workspace's registry lacks one."""
    storage = workspace.storage.substorage("results")
    try:
        trackers = workspace.registry.resolve(*names, storage=storage, skip_unknown=False)
    except (ToolkitException, KeyError, OSError) as error:
        known = ", ".join(workspace.registry.identifiers())
        raise InputError(f"{error}; the workspace knows {known or 'no trackers'}") from error
    if not trackers:
        raise InputError(f"there is no tracker {', '.join(names)}")
    return list(trackers)


def find_tasks(workspace: Workspace, trackers: Sequence[Any]) -> list[Task]:
    """All tasks of these trackers, in the toolkit's order."""
    tasks = []
    for experiment in workspace.stack:
        sequences = [one for given in workspace.sequences for one in _transform(experiment, given)]
        tasks += [Task(tracker, experiment, one) for tracker in trackers for one in sequences]
    return tasks


def _transform(experiment: Any, sequence: Any) -> list[Any]:
    """The sequences that an experiment makes from a sequence."""
    if isinstance(sequence, Broken):
        return [sequence]
    try:
        return list(experiment.transform([sequence]))
    except Exception as error:  # whatever the toolkit runs into
        return [Broken(sequence.name, f"{experiment.identifier} cannot use it ({_said(error)})")]
