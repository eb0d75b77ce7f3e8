"""Simulated prompts: clicks of a user, and coarse masks as a tracker makes them."""

from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

_SURE = 8.0
"""Logit of a mask prompt that is made from a binary mask."""


def middle(region: NDArray[np.bool_]) -> tuple[int, int]:
    """The pixel (x, y) of a region [H,W] that is farthest from all others; it must not be empty."""
    padded = np.pad(region, 1).astype(np.uint8)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), region.shape)
    return int(x), int(y)


def first_clicks(
    rng: Generator, inside: NDArray[np.bool_], count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Clicks [P,2] (x, y) and their labels [P]; the first lies in the object, some others outside.

    Half of the first clicks are in the middle. Without a pixel of the object all labels are -1.
    """
    points, labels = np.zeros((count, 2), np.float32), np.full(count, -1)
    object_pixels = np.argwhere(inside)
    if not len(object_pixels):
        return points, labels
    near = cv2.dilate(inside.astype(np.uint8), np.ones((31, 31), np.uint8)).astype(bool) & ~inside
    background = np.argwhere(near)
    for place in range(count):
        negative = place > 0 and len(background) > 0 and rng.random() < 0.3
        pixels = background if negative else object_pixels
        points[place] = pixels[rng.integers(len(pixels))][::-1]
        labels[place] = 0 if negative else 1
    if rng.random() < 0.5:
        points[0] = middle(inside)
    return points, labels


def correction(
    rng: Generator | None, found: NDArray[np.bool_], wanted: NDArray[np.bool_]
) -> tuple[tuple[int, int], int]:
    """The next click (x, y) and its label, 1 or 0: in the larger of missed and superfluous parts.

    The click is in the middle of the largest connected region of errors; with a generator, in half
    of the cases, it is a random pixel among the errors. Without an error the label is -1.
    """
    wrong = found != wanted
    if not wrong.any():
        return (0, 0), -1
    if rng is not None and rng.random() < 0.5:
        pixels = np.argwhere(wrong)
        y, x = pixels[rng.integers(len(pixels))]
        return (int(x), int(y)), int(wanted[y, x])
    best, size, label = wrong, -1, 1
    for sign, part in ((1, wanted & ~found), (0, found & ~wanted)):
        if not part.any():
            continue
        _, numbers, stats, _ = cv2.connectedComponentsWithStats(part.astype(np.uint8))
        largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        if stats[largest, cv2.CC_STAT_AREA] > size:
            best, size, label = numbers == largest, stats[largest, cv2.CC_STAT_AREA], sign
    return middle(best), label


def damage(rng: Generator, target: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Logits [side,side] of a mask as a tracker leaves it, from the shares of an object [S,S].

    The mask is coarse, shifted, too thin or too fat, lacks parts or has others.
    """
    mask = _resized(target.astype(np.float32) / np.float32(255), side)
    if rng.random() < 0.6:
        mask = _resized(_resized(mask, side // int(rng.integers(2, 7))), side)
    binary: NDArray[Any] = (mask > rng.uniform(0.3, 0.7)).astype(np.uint8)
    if rng.random() < 0.5:
        radius = int(rng.integers(1, 4))
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
        change = rng.choice([cv2.MORPH_ERODE, cv2.MORPH_DILATE, cv2.MORPH_OPEN, cv2.MORPH_CLOSE])
        binary = cv2.morphologyEx(binary, int(change), kernel)
    if rng.random() < 0.4:
        region = _resized(rng.normal(size=(5, 5)).astype(np.float32), side) > 0.8
        spilled = np.roll(binary, rng.integers(-6, 7, 2).tolist(), (0, 1)) | binary
        binary = np.where(region, spilled if rng.random() < 0.4 else 0, binary)
    if rng.random() < 0.3:
        binary = np.roll(binary, rng.integers(-3, 4, 2).tolist(), (0, 1))
    sure = _SURE if rng.random() < 0.5 else float(rng.uniform(2, _SURE))
    return np.where(binary > 0, np.float32(sure), np.float32(-sure))


def _resized(values: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    method = cv2.INTER_AREA if side < len(values) else cv2.INTER_LINEAR
    return cv2.resize(values, (side, side), interpolation=method).astype(np.float32, copy=False)
