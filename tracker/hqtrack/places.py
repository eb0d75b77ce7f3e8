"""Where objects were last trusted, and which parts of a mask could have come from there."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hqtrack.masks import mask_boxes
from hqtrack.types import Boxes, Masks


class Places(NamedTuple):
    """Where N objects were when they were last trusted.

    Attributes:
        boxes: [N,4] around their masks, see `hqtrack.masks.mask_boxes`; NaN where they were not
            seen.
        frames: [N], the numbers of these frames.
    """

    boxes: Boxes
    frames: NDArray[np.int64]


def nowhere(objects: int) -> Places:
    """The places of objects that were not seen yet."""
    return Places(np.full((objects, 4), np.nan), np.zeros(objects, np.int64))


def seen_at(places: Places, frame: int, masks: Masks, trusted: NDArray[np.bool_]) -> Places:
    """The places after a frame with these masks [N,H,W], of which some are trusted [N].

    Objects may be new; these have no place before.
    """
    unknown = nowhere(len(masks) - len(places.frames))
    boxes = np.concatenate([places.boxes, unknown.boxes])
    frames = np.concatenate([places.frames, unknown.frames])
    boxes[trusted], frames[trusted] = mask_boxes(masks[trusted]), frame
    return Places(boxes, frames)


def reachable(places: Places, frame: int, speed: float) -> Boxes:
    """Boxes [N,4] outside of which no part of an object can be on a frame; NaN where unknown.

    In each frame since it was trusted, an object moves by at most `speed` times the longer side of
    its box.
    """
    return around(places.boxes, speed * longer_sides(places.boxes) * (frame - places.frames))


def longer_sides(boxes: Boxes) -> NDArray[np.float64]:
    """The longer side of each box [N,4], pixels; NaN where there is none."""
    return (boxes[:, 2:] - boxes[:, :2]).max(axis=1) + 1


def around(boxes: Boxes, away: NDArray[np.float64]) -> Boxes:
    """The boxes [N,4], each grown by `away` [N] to all sides; they may reach out of the frame."""
    return boxes + away[:, None] * np.array([-1, -1, 1, 1])


def without_far_parts(masks: Masks, windows: Boxes, least: NDArray[np.float64]) -> Masks:
    """The masks [N,H,W] without the parts that do not touch their windows [N,4].

    A part is a set of pixels that are neighbours of each other. A mask stays whole if the parts
    that touch its window have fewer pixels than `least` [N] together: then the object rather is
    elsewhere, after a cut for example. It also stays whole if its window or `least` is NaN.
    """
    boxes = mask_boxes(masks)
    outside = (boxes[:, :2] < windows[:, :2]) | (boxes[:, 2:] > windows[:, 2:])
    doubted = np.flatnonzero(outside.any(axis=1))
    if not len(doubted):
        return masks
    masks = masks.copy()
    for index in doubted:
        mask = masks[index][_inside(boxes[index])]
        near = _near_parts(mask, windows[index] - np.tile(boxes[index, :2], 2))
        if near.sum() >= least[index]:
            mask[:] = near
    return masks


def _near_parts(mask: NDArray[np.bool_], window: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The parts of a mask [H,W] that touch the window."""
    _, parts = cv2.connectedComponents(mask.view(np.uint8))
    near = np.unique(parts[_inside(window)])
    return np.isin(parts, near[near > 0])


def outside(boxes: Boxes, size: tuple[int, int]) -> NDArray[np.bool_]:
    """[H,W]: the pixels of a frame of this size (h, w) that are in none of the boxes [N,4]."""
    pixels = np.ones(size, np.bool_)
    for box in boxes[~np.isnan(boxes).any(axis=1)]:
        pixels[_inside(box)] = False
    return pixels


def _inside(box: NDArray[np.float64]) -> tuple[slice, slice]:
    """The rows and columns of the pixels in a box, which may reach out of the frame."""
    left, top = np.maximum(box[:2], 0).astype(int)
    right, bottom = np.maximum(box[2:] + 1, 0).astype(int)
    return slice(top, bottom), slice(left, right)
