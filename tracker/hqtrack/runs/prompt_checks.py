"""Checks prompts against the size of the frames, and warns of those that look wrong."""

from collections.abc import Iterable, Sequence

import numpy as np

from hqtrack.errors import InputError
from hqtrack.runs.targets import Box, Gone, MaskFile, Target, describe
from hqtrack.types import Masks

_FAR_OUTSIDE = 0.25
"""A box with a larger share of its area outside the frame gets a warning."""


def check_prompts(targets: Iterable[Target], width: int, height: int) -> list[str]:
    """Warnings about prompts on frames of this size, one line each.

    Raises InputError, which names the object, if a prompt does not fit.
    """
    targets = list(targets)
    for target in targets:
        _check_fits(target, width, height)
    boxes = [(target, target.prompt) for target in targets if isinstance(target.prompt, Box)]
    return [said for target, box in boxes if (said := _doubt(target, box, width, height))]


def separate(targets: Sequence[Target], masks: Masks) -> tuple[Masks, list[str]]:
    """The masks [N,H,W] without the overlaps of mask files, and a line about each overlap.

    Where the masks of two files overlap, the later object keeps the pixels. Raises InputError if
    nothing is left of an object.
    """
    masks, told = masks.copy(), []
    given = [i for i, target in enumerate(targets) if isinstance(target.prompt, MaskFile)]
    for place, later in enumerate(given):
        for earlier in given[:place]:
            shared = masks[earlier] & masks[later]
            if not shared.any():
                continue
            masks[earlier] &= ~shared
            names = targets[later].name, targets[earlier].name
            if not masks[earlier].any():
                raise InputError(
                    f"the mask of object {names[0]} covers all of object {names[1]}: give masks of "
                    "different objects, the one in front last"
                )
            told.append(
                f"objects {names[1]} and {names[0]} overlap in {np.count_nonzero(shared)} pixels: "
                f"{names[0]}, whose mask comes later, gets them"
            )
    return masks, told


def _check_fits(target: Target, width: int, height: int) -> None:
    """Raise InputError unless the prompt fits a frame of this size."""
    prompt = target.prompt
    if isinstance(prompt, MaskFile):
        rows, columns = prompt.file.labels.shape
        if (columns, rows) != (width, height):
            raise InputError(
                f"{prompt.file.path} is {columns}x{rows} and the image is {width}x{height}: draw "
                "the mask on the frame at its full size"
            )
        return
    if isinstance(prompt, Gone):
        return
    if isinstance(prompt, Box):
        inside = prompt.right >= 0 and prompt.bottom >= 0
        inside = inside and prompt.left <= width - 1 and prompt.top <= height - 1
    else:
        inside = all(0 <= x <= width - 1 and 0 <= y <= height - 1 for x, y in prompt.places)
    if not inside:
        raise InputError(
            f"object {target.name}: {describe(prompt)} is outside the frame, which is "
            f"{width}x{height} pixels{_if_corners(prompt, width, height)}"
        )


def _doubt(target: Target, box: Box, width: int, height: int) -> str:
    """A warning about a box that reaches far outside the frame, or an empty string."""
    left, top = max(box.left, 0), max(box.top, 0)
    right, bottom = min(box.right, width - 1), min(box.bottom, height - 1)
    kept = (right - left + 1) * (bottom - top + 1)
    area = (box.right - box.left + 1) * (box.bottom - box.top + 1)
    corners = _if_corners(box, width, height)
    if kept >= (1 - _FAR_OUTSIDE) * area and not corners:
        return ""
    return (
        f"object {target.name}: {describe(box)} reaches outside the frame of {width}x{height} "
        f"pixels; took columns {left:g} to {right:g}, rows {top:g} to {bottom:g}{corners}"
    )


def _if_corners(prompt: object, width: int, height: int) -> str:
    """A remark about a box that leaves the frame, but would not if it were X1,Y1,X2,Y2."""
    if not isinstance(prompt, Box):
        return ""
    x, y = prompt.left, prompt.top
    x2, y2 = prompt.right - x + 1, prompt.bottom - y + 1
    leaves = prompt.right > width or prompt.bottom > height
    if not leaves or min(x, y) < 0 or x2 <= x or y2 <= y or x2 > width or y2 > height:
        return ""
    return (
        f"; if {x:g},{y:g},{x2:g},{y2:g} are two corners, give X,Y,W,H: "
        f"{x:g},{y:g},{x2 - x:g},{y2 - y:g}"
    )
