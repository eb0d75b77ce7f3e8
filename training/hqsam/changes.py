"""Pictures of where the refiner helps and harms: coarse mask, reported mask and the true one."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from hqtrack.masks import mask_boxes
from hqtrack.types import Image, Masks, Scores
from hqtrack.video.overlay import draw_masks

SIDE = 180
"""Height and width of a picture, in pixels."""

_LINE = 18
_MARGIN = 0.15


class Change(NamedTuple):
    """One object on one frame.

    Attributes:
        gain: of J, below 0 where the reported mask is worse than the coarse one.
        name: of video and object.
        picture: [h,w,3], the object with its coarse, its reported and its true mask.
    """

    gain: float
    name: str
    picture: Image


def changes_of(
    name: str, image: Image, coarse: Masks, reported: Masks, truth: Masks, gains: Scores
) -> list[Change]:
    """The objects of a frame that have another mask; takes masks [N,H,W] and gains of J [N]."""
    return [
        Change(
            float(gain),
            f"{name}, object {number + 1}",
            _picture(image, np.stack([coarse[number], reported[number], truth[number]])),
        )
        for number, gain in enumerate(gains)
        if (coarse[number] != reported[number]).any()
    ]


def extremes(changes: Iterable[Change], count: int) -> list[Change]:
    """The `count` largest gains, largest first, then the `count` largest losses."""
    ordered = sorted(changes, key=lambda change: -change.gain)
    gains = [change for change in ordered if change.gain > 0][:count]
    losses = [change for change in reversed(ordered) if change.gain < 0][:count]
    return gains + losses


def sheet(changes: Sequence[Change]) -> Image:
    """Two columns of pictures, each below its gain and name."""
    height, width = SIDE + _LINE, 3 * SIDE
    canvas = PillowImage.new("RGB", (2 * width, height * -(-len(changes) // 2)), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(_LINE - 6)
    for place, change in enumerate(changes):
        left, top = width * (place % 2), height * (place // 2)
        text = f"{change.gain:+.3f} {change.name}: coarse, reported, true"
        draw.text((left + 4, top + _LINE / 2), text, "black", font, anchor="lm")
        canvas.paste(PillowImage.fromarray(change.picture), (left, top + _LINE))
    return np.asarray(canvas)


def _picture(image: Image, masks: Masks) -> Image:
    """A square around masks [K,H,W], once with each of them: [SIDE,K*SIDE,3]."""
    part = _window(masks)
    shown = [draw_masks(image[part], mask[part][None]) for mask in masks]
    return np.hstack([_fitted(each) for each in shown])


def _window(masks: Masks) -> tuple[slice, slice]:
    """Rows and columns of a square around all of the masks, as far as it is inside the frame."""
    left, top, right, bottom = mask_boxes(np.logical_or.reduce(masks)[None])[0]
    half = (0.5 + _MARGIN) * (max(right - left, bottom - top) + 1)
    centre: NDArray[np.float64] = np.array([top + bottom, left + right]) / 2
    low = np.maximum(centre - half, 0).astype(int)
    high = np.ceil(centre + half).astype(int) + 1
    return slice(low[0], high[0]), slice(low[1], high[1])


def _fitted(part: Image) -> Image:
    """The part, resized to fit into a white square of `SIDE` pixels."""
    scale = SIDE / max(part.shape[:2])
    height, width = (max(1, round(scale * side)) for side in part.shape[:2])
    square = np.full((SIDE, SIDE, 3), 255, np.uint8)
    square[:height, :width] = cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC)
    return square
