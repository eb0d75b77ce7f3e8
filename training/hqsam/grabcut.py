"""GrabCut (Rother et al., 2004) with OpenCV, for comparison: the object in a box by its colours."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hqtrack.types import Image

_ROUNDS = 5
_SIDE = 320
_LEAST_FILLED = 0.2


def grabcut(image: Image, box: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The mask [H,W] of the object in a box [4], see `hqtrack.types`, which is in the image.

    It is the entire box if that fills its surroundings, or if the object would fill less than a
    fifth of it.
    """
    height, width = image.shape[:2]
    left, top = np.maximum(box[:2], 0).round().astype(int).tolist()
    right, bottom = (box[2:].round().astype(int) + 1).clip(max=(width, height)).tolist()
    # a margin of half the box shows enough of the background
    across, down = (right - left + 1) // 2, (bottom - top + 1) // 2
    x, y = max(left - across, 0), max(top - down, 0)
    part = image[y : bottom + down, x : right + across]
    inside = np.zeros(part.shape[:2], np.bool_)
    inside[top - y : bottom - y, left - x : right - x] = True
    mask = np.zeros((height, width), np.bool_)
    mask[y : y + part.shape[0], x : x + part.shape[1]] = _by_colour(part, inside)
    return mask


def _by_colour(image: Image, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The object within a rectangle of the image."""
    if inside.all():
        return inside
    scale = min(1.0, _SIDE / max(image.shape[:2]))
    size = [max(2, round(side * scale)) for side in image.shape[1::-1]]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    marks = cv2.resize(inside.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    marks = np.where(marks > 0, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    models = np.zeros((2, 1, 65))
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(
            cv2.cvtColor(small, cv2.COLOR_RGB2BGR),
            marks,
            (0, 0, 0, 0),
            models[0],
            models[1],
            _ROUNDS,
            cv2.GC_INIT_WITH_MASK,
        )
    except cv2.error:  # too few pixels for GrabCut's statistics
        return inside
    found = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    grown = cv2.resize(found, image.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    mask: NDArray[np.bool_] = grown & inside
    return mask if mask.sum() > _LEAST_FILLED * inside.sum() else inside
