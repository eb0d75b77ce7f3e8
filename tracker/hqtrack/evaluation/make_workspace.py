"""Makes workspaces of the VOT toolkit from sequences."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from vot.dataset import Sequence as VotSequence  # type: ignore[import-untyped]
from vot.region import Mask, Special  # type: ignore[import-untyped]
from vot.region.io import write_trajectory  # type: ignore[import-untyped]
from vot.utilities import write_properties  # type: ignore[import-untyped]
from vot.workspace import Workspace  # type: ignore[import-untyped]

from hqtrack.errors import InputError, MissingFileError
from hqtrack.files import new_folder, shipped
from hqtrack.regions import EMPTY, Region, to_region
from hqtrack.types import LabelMap
from hqtrack.video import Sequence, read_image
from hqtrack.video.mask_files import tell
from hqtrack.video.mask_rules import HIGHEST, MaskContent

REGISTRY = Path(__file__).resolve().parents[3] / "trackers.ini"
"""The file from which the toolkit starts our trackers, at the top of a checkout."""

_OWN_REGISTRY = "trackers.ini"


def find_registry() -> Path:
    """The registry of the checkout, or the one that ships with an installed package."""
    return REGISTRY if REGISTRY.is_file() else shipped(_OWN_REGISTRY)


def make_workspace(
    folder: Path,
    sequences: Iterable[Sequence],
    registry: Path | None = None,
    copy: bool = False,
) -> None:
    """Make a workspace with the analyses of VOTS; the folder appears only when it is complete.

    The workspace refers to ``registry``, by default to the checkout's. Without a checkout it gets
    a registry of its own.

    Raises InputError if ``folder`` is not empty or not writable, or if a sequence cannot be used;
    see ``add_sequences``.
    """
    registry = registry or find_registry()
    if not registry.is_file():
        raise MissingFileError(f"there is no file {registry}: give another --registry, or none")
    if (folder / "config.yaml").exists():
        raise InputError(f"{folder} is already a workspace: evaluate it, or give another folder")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} contains other files: give a new folder for the workspace")
    folder = folder.resolve()
    if unfit := _unfit(str(folder)):
        raise InputError(f"{str(folder)!a}: {unfit}; give another folder for the workspace")
    own = registry == shipped(_OWN_REGISTRY)
    named = _OWN_REGISTRY if own else str(registry.resolve())
    settings = {"registry": [named], "stack": "stack.yaml"}
    try:
        with new_folder(folder) as part:
            Workspace.initialize(str(part), settings, download=False)
            # the toolkit writes an empty one
            (part / _OWN_REGISTRY).unlink()
            if own:
                shutil.copyfile(registry, part / _OWN_REGISTRY)
            shutil.copyfile(shipped("stack.yaml"), part / "stack.yaml")
            add_sequences(part, sequences, copy)
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"cannot write the workspace {folder}: {error}; give a folder that can be written"
        ) from error


def add_sequences(workspace: Path, sequences: Iterable[Sequence], copy: bool = False) -> None:
    """Write frames, ground truth and list.txt into the folder ``sequences`` of a workspace.

    This links frames, or copies them with ``copy``. Raises InputError for a sequence that has no
    object on its first frame, whose masks and frames differ in size, or whose name or path the
    toolkit or TraX does not support.
    """
    if unfit := _unfit(str(workspace.resolve())):
        raise InputError(f"{str(workspace)!a}: {unfit}; give another folder for the workspace")
    names: list[str] = []
    for sequence in sequences:
        check_name(sequence.name, names)
        _write_sequence(workspace / "sequences" / sequence.name, sequence, copy)
        names.append(sequence.name)
    (workspace / "sequences" / "list.txt").write_text("".join(f"{name}\n" for name in names))


def check_name(name: str, others: list[str]) -> None:
    """Raise InputError for a name that cannot be a line of list.txt and a folder of its own."""
    if name in ("", ".", "..") or "/" in name or name != name.strip() or not name.isprintable():
        raise InputError(
            f"a sequence cannot be called {name!a}: rename its folder to printable characters, "
            "without spaces around them"
        )
    if unfit := _unfit(name):
        raise InputError(f"a sequence cannot be called {name!a}: {unfit}; rename its folder")
    if name in others:
        raise InputError(f"two sequences are called {name}: rename one of the folders")


def _unfit(path: str) -> str:
    """Why TraX or the toolkit does not support a path; an empty string if they do."""
    if not path.isascii() or not path.isprintable():
        return "TraX supports only ASCII paths"
    # the toolkit puts the path into a pattern of file names, and looks for files with wildcards
    signs = [sign for sign in "%[" if sign in path]
    return f"the VOT toolkit cannot read from a path with {signs[0]}" if signs else ""


def _write_sequence(folder: Path, sequence: Sequence, copy: bool) -> None:
    height, width = read_image(sequence.frames[0]).shape[:2]
    trajectories = dict(_trajectories(sequence, height, width))
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "color").mkdir(parents=True)
    # the toolkit knows only two suffixes, but recognises the format by the content
    ending = ".png" if all(path.suffix.lower() == ".png" for path in sequence.frames) else ".jpg"
    for number, frame in enumerate(sequence.frames, start=1):
        target = folder / "color" / f"{number:08d}{ending}"
        if copy:
            shutil.copyfile(frame, target)
        else:
            target.symlink_to(frame.resolve())
    for label, trajectory in trajectories.items():
        name = "groundtruth.txt" if len(trajectories) == 1 else f"groundtruth_{label:03d}.txt"
        write_trajectory(str(folder / name), trajectory)
    properties = {
        "name": sequence.name,
        "fps": 30,
        "format": "default",
        "channel.default": "color",
        "channels.color": f"color/%08d{ending}",
        "width": width,
        "height": height,
    }
    write_properties(str(folder / "sequence"), properties)


def _trajectories(sequence: Sequence, height: int, width: int) -> Iterator[tuple[int, list[Any]]]:
    """The ground truth of each object: its label, and a region of the toolkit per frame.

    An object is unknown until its first mask, where the toolkit gives it to the tracker. If all
    frames have label maps, a later label map without the object means that it is not visible.
    Otherwise label maps only introduce objects and say nothing about the others. Void pixels belong
    to no object.
    """
    seen: dict[int, dict[int, Region]] = {}
    told: set[str] = set()
    for index, annotation in enumerate(sequence.annotations):
        if annotation is None:
            continue
        content = sequence.content(index)
        tell(content, told)
        labels = _framed(sequence, index, content, height, width)
        for label in np.unique(labels[labels > 0]).tolist():
            seen.setdefault(label, {})[index] = to_region(labels == label)
    if not any(0 in regions for regions in seen.values()):
        raise InputError(
            f"sequence {sequence.name} has no object on its first frame, where tracking starts: "
            f"draw one in masks/{sequence.frames[0].stem}.png"
        )
    # colours have numbers that are too high for names of files
    compact = max(seen) > HIGHEST
    for place, (label, regions) in enumerate(sorted(seen.items()), start=1):
        first = min(regions)
        yield (
            place if compact else label,
            [
                _vot_region(regions.get(index), sequence.fully_annotated and index > first)
                for index in range(len(sequence.frames))
            ],
        )


def _vot_region(region: Region | None, absent: bool) -> Any:
    """The toolkit's region; for None an empty region if ``absent``, else the unknown region."""
    if region is None and not absent:
        return Special(VotSequence.UNKNOWN)
    pixels, x, y = region or EMPTY
    return Mask(pixels, (x, y))


def _framed(
    sequence: Sequence, index: int, content: MaskContent, height: int, width: int
) -> LabelMap:
    """The label map of a frame; if its size is off by one, cut or add a last row or column."""
    labels = content.labels
    if max(abs(labels.shape[0] - height), abs(labels.shape[1] - width)) > 1:
        raise InputError(
            f"{sequence.annotations[index]} is {labels.shape[1]}x{labels.shape[0]}, the frames "
            f"are {width}x{height}: give masks of the size of the frames"
        )
    framed = np.zeros((height, width), np.int32)
    part = labels[:height, :width]
    framed[: part.shape[0], : part.shape[1]] = part
    return framed
