"""Turns and mirrors the pictures of a video as its container says, so that players show them so."""

import numpy as np

from hqtrack.types import Image


def upright(pixels: Image, matrix: bytes | None) -> Image:
    """The picture [H,W,3] as a player shows it, by the display matrix of its video, if it has one.

    The matrix has nine 32-bit numbers, row by row. The point (x, y) of the stored picture appears
    at (a x + c y, b x + d y), with a, b in the first row and c, d in the second. Of rotations by
    other angles than quarter turns the nearest of those is made.
    """
    if matrix is None or len(matrix) < 36:
        return np.ascontiguousarray(pixels)
    (a, b, _), (c, d, _), _ = np.frombuffer(matrix[:36], np.int32).reshape(3, 3).astype(float)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        to_left, to_top = a < 0, d < 0
    else:
        pixels = pixels.transpose(1, 0, 2)
        to_left, to_top = c < 0, b < 0
    if to_left:
        pixels = pixels[:, ::-1]
    if to_top:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
