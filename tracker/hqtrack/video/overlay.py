"""Draws masks on frames, in colours that colour-blind people can distinguish."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from hqtrack.errors import InputError
from hqtrack.masks import mask_boxes
from hqtrack.types import Image, Masks

# Okabe and Ito, "Color universal design", without black.
_COLOURS = np.array(
    [
        (230, 159, 0),
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
        (0, 114, 178),
        (213, 94, 0),
        (204, 121, 167),
    ]
)
_SHADES = np.array([_COLOURS, _COLOURS * 0.6, 255 - (255 - _COLOURS) * 0.45]).reshape(-1, 3)


def object_colours(ids: Iterable[int]) -> NDArray[np.uint8]:
    """The colours [len(ids),3] RGB of these object numbers (1 is the first).

    They are the seven colours of Okabe and Ito, then the same darker, then lighter. They repeat
    after 21.
    """
    numbers = np.fromiter(ids, np.int64)
    colours: NDArray[np.uint8] = _SHADES[(numbers - 1) % len(_SHADES)].astype(np.uint8)
    return colours


def draw_masks(image: Image, masks: Masks, ids: Iterable[int] | None = None) -> Image:
    """A copy of the image with each mask half transparent and outlined in its colour.

    ``ids`` are the object numbers that decide the colours, by default 1 to N. Later masks are
    drawn over earlier ones. Raises InputError if sizes or numbers disagree.
    """
    numbers = range(1, len(masks) + 1) if ids is None else list(ids)
    if masks.shape[1:] != image.shape[:2] or len(numbers) != len(masks):
        raise InputError(
            f"image {image.shape}, masks {masks.shape} and {len(numbers)} object numbers "
            "disagree: give [H,W,3], [N,H,W] and one number per mask"
        )
    drawn = image.copy()
    thickness = max(1, round(min(image.shape[:2]) / 300))
    boxes = mask_boxes(masks)
    for mask, box, colour in zip(masks, boxes, object_colours(numbers), strict=True):
        if np.isnan(box[0]):
            continue
        left, top, right, bottom = box.astype(int)
        # one pixel more on each side, because erosion treats the outside as part of the mask
        part = np.s_[max(top - 1, 0) : bottom + 2, max(left - 1, 0) : right + 2]
        inside = mask[part]
        core = cv2.erode(inside.view(np.uint8), np.ones((3, 3), np.uint8), iterations=thickness)
        view = drawn[part]
        view[inside] = (view[inside].astype(np.uint16) + colour + 1) // 2
        view[inside & (core == 0)] = colour
    return drawn
