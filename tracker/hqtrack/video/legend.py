"""Draws a legend of the objects' colours and names into a corner of a frame."""

from collections.abc import Mapping

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from hqtrack.types import Image
from hqtrack.video.overlay import object_colours

_LONGEST = 40
"""Longer names are cut off, in characters."""


def draw_legend(image: Image, names: Mapping[int, str]) -> None:
    """Draw the number, colour and name of each object into the top left corner of the image.

    It omits a name that is only the number, because the mask shows the number, and names that do
    not fit in the image.
    """
    shown = {number: name for number, name in names.items() if name != str(number)}
    if not shown:
        return
    size = max(11, min(image.shape[:2]) // 32)
    row, edge = size + size // 2, size // 2
    rows = min(len(shown), (image.shape[0] - edge) // row)
    font = ImageFont.load_default(size)
    texts = {number: f"{number}  {_cut(shown[number])}" for number in list(shown)[:rows]}
    if not texts:
        return
    width = 3 * edge + size + int(max(font.getlength(text) for text in texts.values()))
    width, height = min(width, image.shape[1]), rows * row + edge
    corner = image[:height, :width]
    # dark enough for white letters on every picture
    picture = PillowImage.fromarray((corner // 4).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for place, (number, text) in enumerate(texts.items()):
        top = edge + place * row
        colour = tuple(object_colours([number])[0].tolist())
        draw.rectangle((edge, top, edge + size, top + size), fill=colour)
        draw.text((2 * edge + size, top + size / 2), text, "white", font, anchor="lm")
    corner[:] = np.asarray(picture)


def _cut(name: str) -> str:
    printable = "".join(letter if letter.isprintable() else "?" for letter in name)
    return printable if len(printable) <= _LONGEST else printable[: _LONGEST - 3] + "..."
