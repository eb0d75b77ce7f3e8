"""The objects of a run as lines of its description, from which they can be read again."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hqtrack.runs.targets import MaskFile, Target, describe

_LINE = re.compile(
    r"(?P<name>[^@=]+) \((?P<number>\d+)\) (?P<corrected>corrected )?"
    r"from (frame (?P<frame>\d+)|the first frame): .*",
    re.DOTALL,
)


class Numbered(NamedTuple):
    """An object of a run: its label in the masks, and its name."""

    number: int
    name: str


class Place(NamedTuple):
    """A place that was given for an object, on a frame counted from 1; None for the first frame."""

    object: Numbered
    frame: int | None


def describe_objects(targets: Iterable[Target]) -> tuple[str, ...]:
    """A line for each place that is given, with the content of a mask file rather than its path."""
    lines = []
    for target in targets:
        for place, given in enumerate(target.given):
            where = describe(given.prompt)
            if isinstance(given.prompt, MaskFile):
                where = f"object {given.prompt.label} of mask {given.prompt.file.digest}"
            start = "the first frame" if given.frame is None else f"frame {given.frame}"
            corrected = "corrected " if place else ""
            lines.append(f"{target.name} ({target.number}) {corrected}from {start}: {where}")
    return tuple(lines)


def places_in(lines: Iterable[str]) -> tuple[Place, ...]:
    """What was given, by the lines of ``describe_objects``; raises ValueError for another line.

    The first place of an object is its start, the others correct it.
    """
    matches = [_parsed(line) for line in lines]
    return tuple(
        Place(
            Numbered(int(match["number"]), match["name"]),
            None if match["frame"] is None else int(match["frame"]),
        )
        for match in matches
    )


def first_change(before: Sequence[str], now: Sequence[str]) -> int | None:
    """The frame from which on the masks of a run change with what is given now, counted from 1.

    None if nothing changes, or if the change is not that of the same run: if something new is given
    on the first frame, or something is not given any more.
    """
    added = [line for line in now if line not in before]
    frames = [_parsed(line)["frame"] for line in added]
    if not frames or None in frames or any(line not in now for line in before):
        return None
    return min(map(int, frames))


def _parsed(line: str) -> re.Match[str]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(line)
    return match
