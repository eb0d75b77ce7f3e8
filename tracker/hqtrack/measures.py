"""The quality measures of DAVIS: region similarity J and boundary measure F.

F. Perazzi et al., "A benchmark dataset and evaluation methodology for video object segmentation",
CVPR 2016, section 4.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from hqtrack.errors import InputError
from hqtrack.masks import mask_boxes
from hqtrack.types import Masks, Scores


def region_similarity(a: Masks, b: Masks) -> Scores:
    """J: intersection over union of mask n of one stack and mask n of the other.

    Both stacks are [N,H,W]; returns [N] in [0, 1]. Two empty masks give 1. Raises InputError if the
    shapes differ.
    """
    _check_shapes(a, b)
    union = [np.count_nonzero(x | y) for x, y in zip(a, b, strict=True)]
    intersection = [np.count_nonzero(x & y) for x, y in zip(a, b, strict=True)]
    return np.array([i / u if u else 1 for i, u in zip(intersection, union, strict=True)], "f4")


def boundary_measure(a: Masks, b: Masks, tolerance: float = 0.008) -> Scores:
    """F: harmonic mean of precision and recall of the boundary of a mask.

    Precision is the share of the boundary of ``a`` that is near the boundary of ``b``, recall the
    reverse. Near means at most ``tolerance`` times the diagonal of the frame, rounded up to whole
    pixels; this approximates the matching of the two boundaries. The sides of the frame are not
    boundaries, so a mask that covers the frame has no boundary. If neither mask has a boundary, F
    is 1; if only one has, F is 0.

    Both stacks are [N,H,W]; returns [N] in [0, 1]. Raises InputError if the shapes differ.
    """
    _check_shapes(a, b)
    radius = math.ceil(tolerance * math.hypot(*a.shape[1:]))
    values = [
        _boundary_agreement(_boundary(x), _boundary(y), radius) for x, y in map(_surroundings, a, b)
    ]
    return np.array(values, np.float32)


def _surroundings(
    a: NDArray[np.bool_], b: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Crop both masks to the part of the frame that contains them, with a margin of one pixel.

    The boundaries stay the same and are faster to compute.
    """
    left, top, right, bottom = mask_boxes((a | b)[None])[0]
    if np.isnan(left):
        return a, b
    part = (
        slice(max(int(top) - 1, 0), int(bottom) + 2),
        slice(max(int(left) - 1, 0), int(right) + 2),
    )
    return a[part], b[part]


def _boundary_agreement(a: NDArray[np.bool_], b: NDArray[np.bool_], radius: int) -> float:
    if not a.any() or not b.any():
        return float(a.any() == b.any())
    precision = np.count_nonzero(a & _near(b, radius)) / np.count_nonzero(a)
    recall = np.count_nonzero(b & _near(a, radius)) / np.count_nonzero(b)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels that differ from the one to the right, below, or right below, inside the frame."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, below, diagonal = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return (mask ^ right) | (mask ^ below) | (mask ^ diagonal)


def _near(boundary: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Pixels at most ``radius`` away from the boundary: dilation with a disk."""
    away = cv2.distanceTransform((~boundary).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # squared distances are whole numbers: half of one is safe against rounding
    return np.asarray(away**2 < radius**2 + 0.5)


def _check_shapes(a: Masks, b: Masks) -> None:
    if a.shape != b.shape or a.ndim != 3:
        raise InputError(
            f"masks {a.shape} and {b.shape} cannot be compared: give two stacks [N,H,W] "
            "of the same objects on the same frame"
        )
