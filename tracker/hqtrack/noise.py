"""Noise in images: how much there is, and how to remove it."""

import math

import cv2
import numpy as np

from hqtrack.types import Image

_SECOND_DIFFERENCES = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
"""Blind to edges along rows and columns (Immerkaer 1996); the norm is 6."""

_NORMAL = 0.6745
"""The median of the absolute value of a normal variable with standard deviation 1."""

SIGHT = 3
"""Pixels around each pixel that its denoised value is a mean of."""

SPREAD = 3.0
"""Pixels whose values differ by much more than so many deviations of the noise do not mix."""


def noise_of(image: Image) -> float:
    """The standard deviation of the noise of an image [H,W,3], in grey levels.

    It is measured on the green channel. The median counts flat areas more than fine structures,
    which still add a little. 0 for an image that is smaller than 3x3.
    """
    if min(image.shape[:2]) < len(_SECOND_DIFFERENCES):
        return 0.0
    differences = cv2.filter2D(image[:, :, 1], cv2.CV_16S, _SECOND_DIFFERENCES)[1:-1:2, 1:-1:2]
    norm = np.linalg.norm(_SECOND_DIFFERENCES)
    return float(np.median(np.abs(differences)) / (_NORMAL * norm))


def denoised(image: Image, max_noise: float) -> Image:
    """The image if its noise is at most this, else smoothed by OpenCV's bilateral filter.

    The filter keeps edges that are stronger than the noise.
    """
    if math.isinf(max_noise):
        return image
    noise = noise_of(image)
    if noise <= max_noise:
        return image
    smooth = cv2.bilateralFilter(image, 2 * SIGHT + 1, SPREAD * noise, SIGHT / 1.5)
    return np.asarray(smooth, np.uint8)
