"""Masks as TraX writes them: ``mask:x,y,width,height,run,run,...``, from text and back.

The runs count pixels row after row, in turn outside and inside of the object, starting outside;
what they leave is outside. Nothing is set aside before the numbers are known to make sense.
"""

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hqtrack.masks import MAX_PIXELS
from hqtrack.regions import Region, to_mask
from hqtrack.vot.messages import ProtocolError

_NUMBERS = re.compile(rb"-?[0-9]{1,18}(?:,-?[0-9]{1,18})*")
_NAMED = re.compile(rb"([a-z]+):")
_FURTHEST = 1 << 31


class GivenMask(NamedTuple):
    """A mask that was sent: a cut-out of this size, its first pixel at (x, y), and its runs."""

    x: int
    y: int
    width: int
    height: int
    runs: NDArray[np.int64]

    def place(self, height: int, width: int) -> NDArray[np.bool_]:
        """The mask in a frame [height,width]; what sticks out is cut off."""
        pixels = np.zeros(self.width * self.height, np.uint8)
        inside = np.repeat(np.arange(len(self.runs), dtype=np.uint8) & 1, self.runs)
        pixels[: len(inside)] = inside
        cut_out = pixels.reshape(self.height, self.width)
        return to_mask(Region(cut_out, self.x, self.y), height, width)


def parse_region(text: bytes, index: int) -> GivenMask:
    """The mask of object ``index`` (for messages) in what a client sent.

    Raises ProtocolError for a region that is no mask, and for one whose numbers make none.
    """
    body = text.removeprefix(b"mask:")
    named = text.startswith(b"mask:")
    if not named or not _NUMBERS.fullmatch(body) or body.count(b",") < 3:
        raise ProtocolError(
            f"object {index} is given as {_sort(text)}: this tracker takes masks, as its hello "
            "says; send mask:x,y,width,height,runs in whole numbers"
        )
    numbers = np.fromstring(body.decode("ascii"), np.int64, sep=",")
    x, y, width, height = numbers[:4].tolist()
    runs = numbers[4:]
    if min(width, height) < 0 or width * height > MAX_PIXELS or max(abs(x), abs(y)) >= _FURTHEST:
        raise ProtocolError(
            f"the mask of object {index} is {width}x{height} at ({x}, {y}): a mask has up to "
            f"{MAX_PIXELS} pixels and lies near its image"
        )
    # numbers below 0 first: the sum of the others cannot overflow unnoticed then
    if len(runs) and (runs.min() < 0 or runs.max() > MAX_PIXELS or runs.sum() > width * height):
        raise ProtocolError(
            f"the runs of the mask of object {index} do not fit its {width}x{height} pixels"
        )
    return GivenMask(x, y, width, height, runs)


def format_region(region: Region) -> str:
    """The text of a region."""
    flat = np.zeros(region.pixels.size + 2, np.bool_)
    flat[1:-1] = region.pixels.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(edges, prepend=0)
    height, width = region.pixels.shape
    return "mask:" + ",".join(map(str, (region.x, region.y, width, height, *runs.tolist())))


def _sort(text: bytes) -> str:
    """What a region is that is no mask, in words."""
    named = _NAMED.match(text)
    name = named[1] if named else b""
    numbers = text.count(b",") + 1
    if name == b"mask":
        return "a mask that cannot be read"
    if name.startswith(b"rect") or (not name and numbers == 4):
        return "a rectangle"
    if name.startswith(b"poly") or (not name and numbers >= 6):
        return "a polygon"
    if name.startswith(b"special") or (not name and numbers == 1 and text):
        return "a special code"
    return "something else than a region"
