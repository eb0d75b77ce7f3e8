"""Recognises label maps that were smoothed: resized, drawn with soft edges, or saved as JPEG.

Averages of two labels look like labels of their own. They lie in thin lines along the edges, with a
lower label on one side and a higher one on the other.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

_LEAST_INSIDE = 0.1
"""A level is thin if fewer of its pixels have four neighbours of the same level."""
_FEWEST_LEVELS = 3
_FEWEST_PIXELS = 32
_MANY_LEVELS = 16
_MOST_STEPS = 0.9
_BRIGHT = 128
"""The least value of white in a mask of black and white."""
_NEAR = 0.2


class Levels(NamedTuple):
    """The values of a map, ascending; for each, its number of pixels and whether it is thin."""

    values: NDArray[np.int64]
    areas: NDArray[np.int64]
    thin: NDArray[np.bool_]


def levels_of(values: NDArray[np.integer]) -> Levels:
    """The levels of a map [H,W] of numbers from 0 to 65535."""
    inside = np.ones(values.shape, np.bool_)
    across, down = values[:, 1:] == values[:, :-1], values[1:] == values[:-1]
    inside[:, :-1] &= across
    inside[:, 1:] &= across
    inside[:-1] &= down
    inside[1:] &= down
    areas = np.bincount(values.ravel())
    inner = np.bincount(values[inside], minlength=len(areas))
    present = np.flatnonzero(areas)
    areas, inner = areas[present], inner[present]
    return Levels(present, areas, inner < _LEAST_INSIDE * areas)


def mostly_thin(levels: Levels) -> bool:
    """Whether most levels but one are thin, and cover more than some specks."""
    thin = np.count_nonzero(levels.thin)
    enough = levels.areas[levels.thin].sum() >= _FEWEST_PIXELS
    return bool(enough and thin >= _FEWEST_LEVELS and 2 * thin >= len(levels.values) - 1)


def looks_resampled(values: NDArray[np.integer], levels: Levels) -> bool:
    """Whether most labels of a map [H,W], 0 to 65535, are thin lines between others, or steps."""
    if _is_gradient(values, levels):
        return True
    marked = levels.values > 0
    thin = levels.values[levels.thin & marked]
    top = int(levels.values[-1])
    bright = top >= _BRIGHT and not levels.thin[-1]
    if (
        len(thin) < (1 if bright else _FEWEST_LEVELS)
        or 2 * len(thin) < np.count_nonzero(marked) - bright
    ):
        return False
    is_thin = np.zeros(top + 1, np.bool_)
    is_thin[thin] = True
    lines = is_thin[values]
    deep = values.astype(np.uint16)
    around = np.ones((3, 3), np.uint8)
    between = (cv2.erode(deep, around) < deep) & (cv2.dilate(deep, around) > deep)
    count = np.count_nonzero(lines)
    return bool(count >= _FEWEST_PIXELS and 2 * np.count_nonzero(lines & between) >= count)


def _is_gradient(values: NDArray[np.integer], levels: Levels) -> bool:
    """Whether there are many levels and nearly all neighbours differ by one, if at all."""
    if len(levels.values) < _MANY_LEVELS:
        return False
    deep = values.astype(np.int32)
    steps = np.concatenate([np.diff(deep, axis=axis).ravel() for axis in (0, 1)])
    changes = np.count_nonzero(steps)
    return bool(np.count_nonzero(np.abs(steps) == 1) > _MOST_STEPS * changes)


def is_black_and_white(levels: Levels) -> bool:
    """Whether all that is not thin is near black or near the highest value, and both are there."""
    top = int(levels.values[-1])
    thick = levels.values[~levels.thin]
    dark, light = thick <= _NEAR * top, thick >= (1 - _NEAR) * top
    return top >= _BRIGHT and bool(dark.any() and light.any() and (dark | light).all())
