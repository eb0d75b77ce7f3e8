"""Finds the places of a tracked object that a person should look at."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

CONFIDENT = 0.7
"""The confidence below which a mask is doubtful."""

_JUMP = 2.0


class Reason(StrEnum):
    """Why a place is doubtful."""

    UNSURE = "low confidence"
    VANISHED = "vanished"
    JUMPED = "area jumped"


class Doubt(NamedTuple):
    """A doubtful place: an index of the frames, and why."""

    place: int
    reason: Reason


def find_doubts(
    confidence: Sequence[float], area: Sequence[int], given: Sequence[bool]
) -> list[Doubt]:
    """The doubtful places of one object over consecutive frames, ascending, one reason for each.

    A run of frames with confidence below ``CONFIDENT`` is doubtful where it is lowest. A frame is
    doubtful where the object was seen before and is not any more, or where its area doubles or
    halves from one frame to the next. Frames on which a person gave the mask are not doubtful.
    """
    found: dict[int, Reason] = {}
    run: list[int] = []
    for place in range(len(confidence)):
        if not given[place] and area[place] and confidence[place] < CONFIDENT:
            run.append(place)
        else:
            _lowest(run, confidence, found)
            run = []
        if place and area[place - 1] and not given[place]:
            ratio = area[place] / area[place - 1]
            if not ratio:
                found[place] = Reason.VANISHED
            elif max(ratio, 1 / ratio) >= _JUMP:
                found.setdefault(place, Reason.JUMPED)
    _lowest(run, confidence, found)
    return [Doubt(place, found[place]) for place in sorted(found)]


def _lowest(run: list[int], confidence: Sequence[float], found: dict[int, Reason]) -> None:
    if run:
        found.setdefault(min(run, key=lambda place: confidence[place]), Reason.UNSURE)
