"""Square windows of an image, through which a network of small input looks at an object."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hqtrack.types import Image, Masks

SMALLEST = 48
"""Least side of a window, in pixels: below that, enlarging shows nothing new."""

GREY = (124, 116, 104)
"""Colour of the pixels outside the image: the mean of images."""


class Window(NamedTuple):
    """A square of `side` pixels, whose corner may lie outside the image."""

    left: int
    top: int
    side: int


def whole(shape: tuple[int, ...]) -> Window:
    """The smallest window that shows an entire image of this (height, width), in its middle."""
    height, width = shape
    side = max(height, width)
    return Window((width - side) // 2, (height - side) // 2, side)


def around(box: NDArray[np.float64], shape: tuple[int, ...], margin: float) -> Window:
    """A window of `margin` times the longest side of a box, inside the image if it fits.

    box: left, top, right, bottom; inclusive pixel indices. shape: (height, width) of the image.
    Where the window would be larger than the image, it is the whole image.
    """
    left, top, right, bottom = box
    side = max(SMALLEST, round(margin * max(right - left + 1, bottom - top + 1)))
    if side >= max(shape):
        return whole(shape)
    y = _begin((top + bottom + 1) / 2, side, shape[0])
    return Window(_begin((left + right + 1) / 2, side, shape[1]), y, side)


def _begin(middle: float, side: int, length: int) -> int:
    """Where a window begins along one direction of an image."""
    if side >= length:
        return (length - side) // 2
    return int(np.clip(middle - side / 2, 0, length - side))


def cut(image: NDArray[np.uint8], window: Window, size: int, outside: object = GREY) -> Image:
    """What the window shows of an image [H,W] or [H,W,3], resized to `size` pixels each way."""
    left, top, side = window
    rows, columns = slice(max(top, 0), top + side), slice(max(left, 0), left + side)
    inside = image[rows, columns]
    if inside.shape[:2] != (side, side):
        padded = np.empty((side, side, *image.shape[2:]), np.uint8)
        padded[:] = outside
        y, x = max(-top, 0), max(-left, 0)
        padded[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
        inside = padded
    method = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return cv2.resize(inside, (size, size), interpolation=method).astype(np.uint8, copy=False)


def to_window(points: NDArray[np.float64], window: Window, size: int) -> NDArray[np.float64]:
    """Points [...,2] (x, y) of the image, or boxes [...,4], in the pixels of what `cut` returns."""
    corner = np.resize((window.left, window.top), points.shape[-1])
    moved: NDArray[np.float64] = (points + 0.5 - corner) * (size / window.side) - 0.5
    return moved


def paste(shown: Masks, window: Window, height: int, width: int) -> Masks:
    """Masks [N,H,W] of the image from those of a window [N,S,S], at its own size."""
    left, top, _ = window
    y, x = max(top, 0), max(left, 0)
    seen = shown[:, y - top : height - top, x - left : width - left]
    masks = np.zeros((len(shown), height, width), np.bool_)
    masks[:, y : y + seen.shape[1], x : x + seen.shape[2]] = seen
    return masks
