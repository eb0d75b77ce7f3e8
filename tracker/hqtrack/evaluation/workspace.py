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
    """A sequence that cannot be used, why not, and what to do about it."""

    name: str
    trouble: str


class Task(NamedTuple):
    """One sequence of one experiment for one tracker.

    Each is as the toolkit has it, but for a sequence that is ``Broken``.
    """

    tracker: Any
    experiment: Any
    sequence: Any

    def __str__(self) -> str:
        return f"{self.tracker.reference} {self.experiment.identifier} {self.sequence.name}"


@dataclass(frozen=True)
class Workspace:
    """A workspace as the toolkit would load it: what of it hqtrack uses, read without running it.

    ``sequences`` are the toolkit's, in the order of list.txt, or ``Broken``.
    """

    registry: Any
    stack: Any
    storage: Any
    sequences: Sequence[Any]


def open_workspace(folder: Path) -> Workspace:
    """The workspace in a folder; nothing is downloaded, and nothing that it names is run.

    Raises MissingFileError where there is none or its sequences are not there, InputError where
    the toolkit could not read it, it has no experiment, or one that is not run over TraX with
    masks. A sequence that cannot be read is no error, but ``Broken``.
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
    """The stack of a workspace, of its own file, of its configuration, or of the toolkit."""
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
    except Exception as error:  # whatever the toolkit runs into
        raise InputError(
            f"{where}: the VOT toolkit cannot read the stack ({_said(error)}); correct it"
        ) from error
    if not count:
        raise InputError(f"{where}: the stack has no experiments, so there is nothing to do")
    stack._name = named if isinstance(named, str) else None
    return stack


def _read_registry(home: Path, named: Any) -> Any:
    """The trackers that a workspace knows, with those that the toolkit's environment adds."""
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
    """The sequence as the toolkit reads it, or ``Broken``."""
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
    """The trackers of these names; InputError where one is not in the workspace's registry."""
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
    """All that has to be there of these trackers, in the toolkit's order."""
    tasks = []
    for experiment in workspace.stack:
        sequences = [one for given in workspace.sequences for one in _transform(experiment, given)]
        tasks += [Task(tracker, experiment, one) for tracker in trackers for one in sequences]
    return tasks


def _transform(experiment: Any, sequence: Any) -> list[Any]:
    """What an experiment makes of a sequence."""
    if isinstance(sequence, Broken):
        return [sequence]
    try:
        return list(experiment.transform([sequence]))
    except Exception as error:  # whatever the toolkit runs into
        return [Broken(sequence.name, f"{experiment.identifier} cannot use it ({_said(error)})")]
