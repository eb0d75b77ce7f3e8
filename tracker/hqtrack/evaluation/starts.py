"""The frames of a sequence and the objects that start on each of them."""

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from vot.dataset import load_sequence  # type: ignore[import-untyped]
from vot.region import is_special  # type: ignore[import-untyped]

from hqtrack.errors import InputError
from hqtrack.evaluation.make_workspace import add_sequences
from hqtrack.evaluation.sequence_files import examine_sequence
from hqtrack.regions import from_toolkit, to_masks
from hqtrack.types import Masks
from hqtrack.video import open_sequence, read_image


class Start(NamedTuple):
    """A frame, its number from 1, and names and masks [M,H,W] of the objects that start on it."""

    number: int
    image: Path
    names: list[str]
    masks: Masks


def read_starts(folder: Path, objects: str | None, first: int, last: int | None) -> list[Start]:
    """The frames ``first`` to ``last``, counted from 1, each with the objects that start on it.

    Raises InputError if there is no such sequence, object or frame, or if no object starts on the
    first of the frames.
    """
    with tempfile.TemporaryDirectory() as workspace:
        if not (folder / "sequence").is_file():
            add_sequences(Path(workspace), [open_sequence(folder)])
            folder = Path(workspace) / "sequences" / folder.absolute().name
        elif trouble := examine_sequence(folder):
            raise InputError(f"sequence {folder.name} is not intact: {trouble}")
        sequence = load_sequence(str(folder.absolute()))
        count = len(sequence)
        chosen = _chosen(list(sequence.objects()), objects)
        if not 1 <= first <= (last or count) <= count:
            raise InputError(
                f"{folder.name} has frames 1 to {count}: give --from and --to in order"
            )
        known = {name: sequence.object(name) for name in chosen}
        frames = [
            # the temporary folder contains only links, and is deleted soon
            _start(Path(sequence.frame(index).filename("color")).resolve(), known, index, first - 1)
            for index in range(first - 1, last or count)
        ]
    if not all(str(frame.image).isascii() for frame in frames):
        raise InputError(f"{frames[0].image}: TraX supports only ASCII paths; rename the folder")
    if not frames[0].names:
        raise InputError(f"none of the objects is annotated on frame {first}: give another --from")
    return frames


def _chosen(names: list[str], objects: str | None) -> list[str]:
    """The names of the requested objects; a single object is called 1, or by its name."""
    if objects is None:
        return names
    numbers = {str(int(name)) if name.isdecimal() else "1": name for name in names}
    asked = [word.strip().lstrip("0") for word in objects.split(",")]
    unknown = [word for word in asked if word not in numbers]
    if unknown:
        raise InputError(
            f"there is no object {', '.join(unknown)}: choose from {', '.join(sorted(numbers))}"
        )
    return [numbers[word] for word in asked]


def _start(image: Path, known: dict[str, list[Any]], index: int, first: int) -> Start:
    """The objects that start on a frame: their regions were unknown since ``first``."""
    names = [
        name
        for name, regions in known.items()
        if not is_special(regions[index]) and all(map(is_special, regions[first:index]))
    ]
    regions = [from_toolkit(known[name][index]) for name in names]
    height, width = read_image(image).shape[:2]
    return Start(index + 1, image, names, to_masks(regions, height, width))
