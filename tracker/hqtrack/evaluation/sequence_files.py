"""Checks the files of a workspace's sequences without the VOT toolkit.

The toolkit stops reading images at the first missing number, and accepts annotations of any length.
This module imports nothing from the toolkit, so that `hqtrack doctor` can use it, too.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

from PIL import Image as PillowImage

from hqtrack.errors import InputError
from hqtrack.evaluation.trajectory_files import examine_text
from hqtrack.evaluation.yaml_files import read_yaml
from hqtrack.video.images import is_hidden, order_images

_CHANNELS = ("color", "depth", "ir")
_USUAL = "%08d.jpg"
_PATTERN = re.compile(r"(?P<before>[^%]*)%0?\d*d(?P<after>[^%]*\.(jpg|png))")
_AGAIN = (
    "copy the sequence again; one of a challenge is fetched by `vot evaluate` once its folder and "
    "list.txt are deleted"
)


class Listed(NamedTuple):
    """A sequence in list.txt, and the reason why it cannot be used; empty if it is intact."""

    name: str
    folder: Path
    trouble: str


def sequences_folder(workspace: Path) -> Path:
    """The folder of a workspace's sequences, from its configuration.

    Raises the errors of ``read_yaml``, and InputError if the configuration has no valid path.
    """
    named = read_yaml(workspace / "config.yaml").get("sequences", "sequences")
    if not isinstance(named, str) or not named:
        raise InputError(f"{workspace / 'config.yaml'}: sequences has to be the path of a folder")
    return workspace / named


def listed_sequences(sequences: Path) -> list[Listed]:
    """All sequences of ``list.txt`` in this folder, in order, each checked.

    Raises InputError if the file cannot be read or has no names.
    """
    path = sequences / "list.txt"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} ({error}): write one name per line") from error
    if lines[-1] == "":
        lines.pop()
    found: list[Listed] = []
    for number, line in enumerate(lines, start=1):
        folder = sequences / line.strip()
        name = os.path.basename(line.strip())
        if trouble := _bad_name(line):
            trouble = f"line {number} of list.txt {trouble}: write one name per line"
            found.append(Listed(name or f"line {number}", folder, trouble))
        elif name in (one.name for one in found):
            found.append(Listed(name, folder, f"list.txt names it twice: remove line {number}"))
        else:
            found.append(Listed(name, folder, examine_sequence(folder)))
    if not found:
        raise InputError(f"{path} names no sequence: there is nothing to do; write one per line")
    return found


def _bad_name(line: str) -> str:
    """The reason why a line of list.txt is not the path of a sequence; empty if it is one."""
    if not line.strip():
        return "is empty"
    if not line.strip().isprintable():
        return f"has characters that cannot be printed, {line!a}"
    if os.path.basename(line.strip()) in ("", ".", ".."):
        return f"is {line.strip()!r}, which is no sequence's own folder"
    return ""


def examine_sequence(folder: Path) -> str:
    """The reason why the toolkit cannot read the entire sequence, and the remedy; else empty."""
    if not folder.is_dir():
        what = "is a link to nothing" if folder.is_symlink() else "is not there"
        return f"its folder {what}: {_AGAIN}"
    if not (folder / "sequence").is_file():
        return "" if any(folder.glob("groundtruth*.txt")) else f"it has no file sequence: {_AGAIN}"
    try:
        text = (folder / "sequence").read_text(encoding="utf-8")
        pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
        properties = {key.strip(): value.strip() for key, value in pairs}
        patterns = _patterns(properties)
        counts = {name: _count(folder, patterns[name]) for name in patterns}
        count = counts["color"]
        for name, other in counts.items():
            if other != count:
                return f"it has {count} images in color, {other} in {name}: {_AGAIN}"
        _check_first_image(folder / (patterns["color"] % 1), properties)
        declared = properties.get("length", "")
        if declared.isdecimal() and int(declared) > count:
            return f"it has {count} images, its file sequence says length={declared}: {_AGAIN}"
        return _examine_annotations(folder, count)
    except (_BrokenError, OSError, UnicodeDecodeError) as error:
        return str(error)


class _BrokenError(Exception):
    """A fault of a sequence."""


def _patterns(properties: dict[str, str]) -> dict[str, str]:
    """The pattern of the images of each channel, by the rules of the toolkit."""
    patterns = {
        name: properties[f"channels.{name}"]
        for name in _CHANNELS
        if properties.get(f"channels.{name}")
    } or {"color": f"color/{_USUAL}"}
    if "color" not in patterns:
        raise _BrokenError(
            "it has no channel color, which HQTrack needs: name its images as channels.color in "
            "the file sequence"
        )
    usual = {n: p if os.path.splitext(p)[1] else f"{p}/{_USUAL}" for n, p in patterns.items()}
    for pattern in usual.values():
        if _PATTERN.fullmatch(pattern) is None:
            raise _BrokenError(
                f"its images are named {pattern}: write one number and .jpg or .png, like "
                f"color/{_USUAL}"
            )
    return usual


def _count(folder: Path, pattern: str) -> int:
    """The number of images of a pattern; raises _BrokenError unless they count from 1 on."""
    place, name = folder / os.path.dirname(pattern), os.path.basename(pattern)
    if not place.is_dir():
        raise _BrokenError(f"it has no folder {os.path.dirname(pattern)}: {_AGAIN}")
    parts = re.split(r"%0?\d*d", name)
    shape = re.compile(r"(\d+)".join(map(re.escape, parts)))
    numbers: set[int] = set()
    with os.scandir(place) as entries:
        for entry in entries:
            found = shape.fullmatch(entry.name)
            if found is None or name % int(found[1]) != entry.name:
                continue
            if not entry.is_file():
                raise _BrokenError(_no_file(Path(entry.path)))
            if entry.stat().st_size == 0:
                raise _BrokenError(f"{pattern % int(found[1])} is empty: {_AGAIN}")
            numbers.add(int(found[1]))
    others = [path.name for path in order_images(place.iterdir()) if path.stem.isdecimal()]
    others = [other for other in others if not _is_of(shape, name, other)]
    if not numbers:
        seen = f"; there is {others[0]}" if others else ""
        raise _BrokenError(f"it has no images {pattern}{seen}: {_AGAIN}")
    _check_gaps(pattern, numbers, others)
    return len(numbers)


def _is_of(shape: "re.Pattern[str]", name: str, other: str) -> bool:
    found = shape.fullmatch(other)
    return found is not None and name % int(found[1]) == other


def _no_file(path: Path) -> str:
    place = f"{path.parent.name}/{path.name}"
    if not path.is_symlink():
        return f"{place} is no file: {_AGAIN}"
    return (
        f"{place} is a link to {os.readlink(path)}, where no image is: bring the images back "
        "there, or make the workspace again (`hqtrack workspace --copy` keeps the images in it)"
    )


def _check_gaps(pattern: str, numbers: set[int], others: list[str]) -> None:
    count = len(numbers)
    first = next(number for number in range(1, count + 2) if number not in numbers)
    behind = sorted(number for number in numbers if number > first)
    if behind:
        raise _BrokenError(
            f"{pattern % first} is missing and {len(behind)} images follow it, up to "
            f"{os.path.basename(pattern % behind[-1])}: the toolkit would stop before it; {_AGAIN}"
        )
    if 0 in numbers:
        raise _BrokenError(
            f"its images are numbered from 0, and the toolkit starts with {pattern % 1}: number "
            "them from 1"
        )
    if others:
        raise _BrokenError(
            f"{others[0]} and {len(others) - 1} other images are not named {pattern}, so the "
            "toolkit would never read them: rename or remove them"
        )


def _check_first_image(path: Path, properties: dict[str, str]) -> None:
    """Raise _BrokenError unless the image can be opened and has the declared size."""
    try:
        with PillowImage.open(path) as picture:
            size = picture.size
    except (OSError, SyntaxError, ValueError) as error:
        raise _BrokenError(f"{path.name} cannot be read as an image: {_AGAIN}") from error
    declared = [properties.get(name, "") for name in ("width", "height")]
    # an orientation in its EXIF data may rotate it
    if all(map(str.isdecimal, declared)) and sorted(size) != sorted(map(int, declared)):
        raise _BrokenError(
            f"{path.name} is {size[0]}x{size[1]}, the file sequence says {'x'.join(declared)}: "
            f"{_AGAIN}"
        )


def _examine_annotations(folder: Path, count: int) -> str:
    files = sorted(path for path in folder.glob("groundtruth_*.txt") if not is_hidden(path))
    files = files or [folder / "groundtruth.txt"]
    for path in files:
        if not path.is_file():
            return f"it has no {path.name}, where its object is: {_AGAIN}"
        try:
            known = examine_text(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
        except ValueError as error:
            return f"{path.name}: {error}: {_AGAIN}"
        if not any(known):
            return f"{path.name} nowhere says where the object is: {_AGAIN}"
        if len(known) > count:
            return f"it has {count} images and {path.name} has {len(known)} lines: {_AGAIN}"
        # if the ground truth is secret, a file ends with the first mask of its object
        if len(known) < count and sum(known) > 1:
            return (
                f"it has {count} images and {path.name} has {len(known)} lines: {_AGAIN}; where "
                "the rest is not annotated, add a line 0 for each image"
            )
    return ""
