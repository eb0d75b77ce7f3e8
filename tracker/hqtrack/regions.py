"""Masks in VOT's format, a cut-out and its place in the frame, as pure functions on arrays."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hqtrack.masks import mask_boxes
from hqtrack.types import Masks

MAX_RUNS = 65_000
"""The toolkit's result files count the runs of a mask in 16 bits; some are split when written."""


class Region(NamedTuple):
    """A cut-out [h,w] of 0 and 1, C-contiguous, whose first pixel is pixel (x, y) of the frame."""

    pixels: NDArray[np.uint8]
    x: int
    y: int


EMPTY = Region(np.zeros((1, 1), np.uint8), 0, 0)
"""What an object that is not visible has: one background pixel."""


def to_region(mask: NDArray[np.bool_]) -> Region:
    """Crop the mask [H,W] of a frame to its box; an empty mask gives one background pixel.

    A single column gets a column of background before it, because the toolkit treats a single
    column as empty. A mask of more than MAX_RUNS runs loses its smallest specks, because the
    toolkit cannot write it.
    """
    box = mask_boxes(mask[None])[0]
    if np.isnan(box[0]):
        return EMPTY
    left, top, right, bottom = box.astype(int).tolist()
    pixels = np.ascontiguousarray(mask[top : bottom + 1, left : right + 1], np.uint8)
    if left == right:
        return Region(np.pad(pixels, ((0, 0), (1, 0))), left - 1, top)
    return Region(_limit_runs(pixels), left, top)


def from_trax(region: Any) -> Region:
    """The region that a ``trax.Mask`` holds."""
    return Region(region.array(), *region.offset())


def from_toolkit(region: Any) -> Region:
    """The region that a ``vot.region.Mask`` holds."""
    return Region(region.mask, *region.offset)


def to_masks(regions: Iterable[Region], height: int, width: int) -> Masks:
    """Place cut-outs in a frame, see ``to_mask``: [N,``height``,``width``]."""
    masks = [to_mask(region, height, width) for region in regions]
    return np.array(masks, np.bool_).reshape(-1, height, width)


def to_mask(region: Region, height: int, width: int) -> NDArray[np.bool_]:
    """Place a cut-out in a frame, [height,width]; what exceeds the frame is cut off."""
    pixels, x, y = region
    mask = np.zeros((height, width), np.bool_)
    top, bottom = max(y, 0), min(y + pixels.shape[0], height)
    left, right = max(x, 0), min(x + pixels.shape[1], width)
    if top < bottom and left < right:
        mask[top:bottom, left:right] = pixels[top - y : bottom - y, left - x : right - x] > 0
    return mask


def _limit_runs(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Drop the smallest specks until no more than MAX_RUNS runs are left.

    A speck is a set of pixels connected by their edges. If the largest speck alone has too many
    runs, it loses its shortest runs, too: those of less than 3, 5, 9, 17, ... pixels.
    """
    if _runs(pixels) <= MAX_RUNS:
        return pixels
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(pixels, connectivity=4)
    starts = np.diff(labels, axis=1, prepend=0) != 0
    runs = np.bincount(labels[starts], minlength=count)
    order = 1 + np.argsort(statistics[1:, cv2.CC_STAT_AREA], kind="stable")
    excess = runs[1:].sum() - (MAX_RUNS - 1) // 2
    # the largest speck is never dropped
    dropped = order[: min(int(np.searchsorted(runs[order].cumsum(), excess)) + 1, count - 2)]
    kept = np.ones(count, np.uint8)
    kept[dropped] = 0
    pixels = kept[labels] & pixels
    shortest = 3
    while _runs(pixels) > MAX_RUNS:
        row = np.ones((1, shortest), np.uint8)
        opened = cv2.morphologyEx(
            pixels, cv2.MORPH_OPEN, row, borderType=cv2.BORDER_CONSTANT, borderValue=(0,)
        )
        pixels = np.ascontiguousarray(opened, np.uint8)
        shortest = 2 * shortest - 1
    return pixels


def _runs(pixels: NDArray[np.uint8]) -> int:
    """The number of runs, row after row, starting with zeros."""
    flat = pixels.ravel()
    return int(np.count_nonzero(flat[1:] != flat[:-1]) + 1 + (flat[0] > 0))
