"""The objects to track, as given on the command line: masks, boxes, points."""

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hqtrack.errors import InputError
from hqtrack.video.images import read_bytes
from hqtrack.video.mask_files import decode_mask_file
from hqtrack.video.mask_rules import HIGHEST, Note

_STARTING = re.compile(r"(?P<name>[^@=]+)@(?P<frame>\d+)=(?P<prompt>.+)")


@dataclass(frozen=True)
class LabelFile:
    """A label map [H,W] as it was read from a file.

    ``digest``: the first 16 digits of the SHA-256 of the file's content. ``notes``: how it
    was read.
    """

    path: Path
    digest: str
    labels: NDArray[np.integer] = field(repr=False, compare=False)
    notes: tuple[Note, ...] = field(default=(), repr=False, compare=False)


def read_label_file(path: Path) -> LabelFile:
    """Read a mask file; raises the errors of ``hqtrack.video.mask_files.read_mask_file``.

    Colours become 1, 2, ... in the order of their numbers, unless all have the number of an object.
    """
    data = read_bytes(path)
    content = decode_mask_file(data, path)
    labels = content.labels
    if labels.max(initial=0) > HIGHEST:
        present, places = np.unique(labels, return_inverse=True)
        labels = places.reshape(labels.shape).astype(np.int32) + np.int32(present[0] > 0)
    # the map stays in memory during the run
    small = labels.astype(np.min_scalar_type(int(labels.max(initial=0))))
    return LabelFile(path, hashlib.sha256(data).hexdigest()[:16], small, content.notes)


class MaskFile(NamedTuple):
    """Object ``label`` of a label map."""

    file: LabelFile
    label: int


class Box(NamedTuple):
    """Left, top, right, bottom: inclusive pixel indices, which may be outside the frame."""

    left: float
    top: float
    right: float
    bottom: float


class Points(NamedTuple):
    """Pixels (x, y) on the object, and beside it: those whose place is in ``beside``."""

    places: tuple[tuple[float, float], ...]
    beside: frozenset[int] = frozenset()


class Gone(NamedTuple):
    """The object cannot be seen; only corrections say so."""


Prompt: TypeAlias = MaskFile | Box | Points | Gone


@dataclass(frozen=True)
class Correction:
    """The right place of an object on a later frame, counted from 1 in the video."""

    frame: int
    prompt: Prompt


@dataclass(frozen=True)
class Target:
    """An object to track.

    name: its name in the summary. number: its label in the written masks. frame: the frame on which
    it starts, counted from 1 in the video; None for the first frame that is read. prompt: its place
    on that frame. corrections: its place on later frames, in their order.
    """

    name: str
    number: int
    frame: int | None
    prompt: Prompt
    corrections: tuple[Correction, ...] = ()

    @property
    def given(self) -> tuple["Target", ...]:
        """A target for each place that is given: the start, then the corrections."""
        later = (replace(self, frame=c.frame, prompt=c.prompt) for c in self.corrections)
        return tuple(replace(each, corrections=()) for each in (self, *later))


def parse_targets(
    masks: Sequence[Path],
    boxes: Sequence[str],
    points: Sequence[str],
    starting: Sequence[str],
    example: str = "PNG",
) -> list[Target]:
    """The objects in the order of masks, boxes, points and ``starting``, NAME@FRAME=PROMPT.

    Objects of a mask keep their labels, unless an earlier mask has them. A NAME that is a number is
    also the object's number; all other objects get the next free number. The name of an object that
    is there already, with another frame, corrects it; the earliest frame is the one on which it
    starts. Raises InputError if an argument cannot be parsed, if an object is given twice on a
    frame, and if there is no object; the message then proposes ``example`` as a mask.
    """
    read = cache(read_label_file)
    targets: list[Target] = []
    for mask in masks:
        targets += _labelled(read(mask), targets)
    prompts: list[Prompt] = [*map(parse_box, boxes), *map(parse_points, points)]
    for prompt in prompts:
        number = _next_number(targets)
        targets.append(Target(str(number), number, None, prompt))
    for text in starting:
        _take_in(_parse_starting(text, targets, read), targets)
    for target in targets:
        if isinstance(target.prompt, Gone):
            raise InputError(
                f"object {target.name} is gone on frame {target.frame}, and starts there: give its "
                "place on an earlier frame first"
            )
    if not targets:
        raise InputError(f"no object to track: give --mask {example}, --box X,Y,W,H or --point X,Y")
    return targets


def parse_box(text: str) -> Box:
    """Parse X,Y,W,H: the top-left pixel, and width and height in pixels."""
    numbers = _numbers(text)
    if len(numbers) != 4 or numbers[2] < 1 or numbers[3] < 1:
        raise InputError(
            f"{text!r} is not a box: give X,Y,W,H, its top-left pixel, width and height (1 or "
            "more), like 120,40,64,80"
        )
    x, y, width, height = numbers
    return Box(x, y, x + width - 1, y + height - 1)


def parse_points(text: str) -> Points:
    """Parse X,Y or X,Y,X,Y,...: one or more points for one object; -X,Y is a point beside it."""
    numbers = _numbers(text)
    if not numbers or len(numbers) % 2:
        raise InputError(
            f"{text!r} is not a point: give X,Y in pixels, like 120,40 (X,Y,X,Y for two points of "
            "one object, and -X,Y for a point beside it)"
        )
    minus = [part.strip().startswith("-") for part in text.split(",")[::2]]
    if all(minus):
        raise InputError(
            f"{text!r} has no point on the object, because a minus sign marks a point beside it: "
            "give one on it, too, like 120,40,-150,60"
        )
    places = zip(map(abs, numbers[::2]), numbers[1::2], strict=True)
    return Points(tuple(places), frozenset(n for n, beside in enumerate(minus) if beside))


def describe(prompt: Prompt) -> str:
    """The prompt in the syntax after ``NAME@FRAME=``."""
    match prompt:
        case MaskFile(file, label):
            return f"{file.path}, object {label}"
        case Box(left, top, right, bottom):
            return f"box:{left:g},{top:g},{right - left + 1:g},{bottom - top + 1:g}"
        case Points(places, beside):
            signs = ("-" if n in beside else "" for n in range(len(places)))
            texts = (f"{sign}{x:g},{y:g}" for sign, (x, y) in zip(signs, places, strict=True))
            return f"point:{','.join(texts)}"
        case Gone():
            return "gone"


def _labelled(file: LabelFile, before: Sequence[Target]) -> list[Target]:
    """The objects of a mask of the first frame."""
    labels, taken = _labels_in(file), {target.number for target in before}
    free = max([*labels, *taken]) + 1
    targets: list[Target] = []
    for label in labels:
        number = label
        if label in taken:
            number, free = free, free + 1
        targets.append(Target(str(number), number, None, MaskFile(file, label)))
    return targets


def _parse_starting(text: str, before: list[Target], read: Callable[[Path], LabelFile]) -> Target:
    parts = _STARTING.fullmatch(text)
    if parts is None:
        raise InputError(
            f"{text!r} is not an object: give NAME@FRAME=mask.png, NAME@FRAME=box:X,Y,W,H or "
            "NAME@FRAME=point:X,Y, like ball@40=box:120,40,64,80; NAME@FRAME=gone where an object "
            "cannot be seen any more"
        )
    name = parts["name"]
    number = int(name) if name.isdecimal() else _next_number(before)
    for target in before:
        if target.name == name:
            number = target.number
        elif target.number == number:
            raise InputError(
                f"there are two objects {name}, because {target.name} has this number: give them "
                "different names"
            )
    if not 1 <= number <= HIGHEST:
        raise InputError(f"objects have numbers from 1 to {HIGHEST}, not {number}")
    frame = int(parts["frame"])
    if frame < 1:
        raise InputError(f"object {name}: frames are counted from 1, there is no frame {frame}")
    return Target(name, number, frame, _parse_prompt(parts["prompt"], name, read))


def _take_in(new: Target, targets: list[Target]) -> None:
    """Add a target to the others, or to the one of its name, which it corrects."""
    for place, target in enumerate(targets):
        if target.name != new.name:
            continue
        given = sorted([*target.given, new], key=lambda each: each.frame or 0)
        frames = [each.frame for each in given]
        if len(set(frames)) < len(frames):
            raise InputError(
                f"object {new.name} is given twice on frame {new.frame}: give it once, and on "
                "another frame to correct it"
            )
        later = tuple(Correction(each.frame or 0, each.prompt) for each in given[1:])
        targets[place] = replace(given[0], corrections=later)
        return
    targets.append(new)


def _parse_prompt(text: str, name: str, read: Callable[[Path], LabelFile]) -> Prompt:
    if text == "gone":
        return Gone()
    if text.startswith("box:"):
        return parse_box(text.removeprefix("box:"))
    if text.startswith("point:"):
        return parse_points(text.removeprefix("point:"))
    file = read(Path(text))
    labels = _labels_in(file)
    if len(labels) == 1:
        return MaskFile(file, labels[0])
    if name.isdecimal() and int(name) in labels:
        return MaskFile(file, int(name))
    raise InputError(
        f"{text} marks objects {', '.join(map(str, labels))}: which one is {name}? Name it by its "
        f"number, like {labels[0]}@FRAME={text}"
    )


def _labels_in(file: LabelFile) -> list[int]:
    present = np.unique(file.labels)
    labels: list[int] = present[present > 0].tolist()
    if not labels:
        raise InputError(f"{file.path} marks no object: give each object a number above 0")
    return labels


def _next_number(targets: Iterable[Target]) -> int:
    return max((target.number for target in targets), default=0) + 1


def _numbers(text: str) -> list[float]:
    """The numbers between the commas; an empty list if one is not a finite number."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        return []
    return numbers if all(map(math.isfinite, numbers)) else []
