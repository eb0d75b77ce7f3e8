"""Pictures of where the refiner helps and harms: coarse mask, reported mask and the true one."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from hqtrack.masks import mask_boxes
from hqtrack.types import Image, Masks, Scores
from hqtrack.video.overlay import draw_masks
from hqtrack.windows import around, cut

SIDE = 180
"""Height and width of a picture, in pixels."""

MARGIN = 1.3
"""Side of what a picture shows, relative to the longest side of the masks."""

_LINE = 18


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
    """A window around masks [K,H,W], once with each of them: [SIDE,K*SIDE,3]."""
    (box,) = mask_boxes(np.logical_or.reduce(masks)[None])
    window = around(box, image.shape[:2], MARGIN)
    seen = cut(image, window, SIDE)
    parts = [cut(mask.view(np.uint8), window, SIDE, outside=0) > 0 for mask in masks]
    return np.hstack([draw_masks(seen, part[None]) for part in parts])
