"""What the values of a mask file mean: decisions on arrays; see ``hqtrack.video.mask_files``."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hqtrack.errors import InputError
from hqtrack.types import LabelMap
from hqtrack.video.resampled import (
    Levels,
    is_black_and_white,
    levels_of,
    looks_resampled,
    mostly_thin,
)

HIGHEST = 65534
"""The highest number of an object."""

REMEDY = (
    "save the mask as an indexed or grey PNG with one number per object, and resize it only with "
    "nearest-neighbour interpolation"
)
"""What to do about a mask file that cannot be used."""

_MOST_COLOURS = 255
_CREAM = 0xE0E0C0
"""Void in the palette of PASCAL VOC."""


class Note(NamedTuple):
    """What a user should know of how a file was read; ``kind`` is the same for all of its kind."""

    kind: str
    text: str


class MaskContent(NamedTuple):
    """A mask file: labels [H,W], in which void is background; where it is void, None for nowhere.

    white: whether the file has white alone, 255 or 65535, which is object 1.

    A colour is the number that it has in the palette of DAVIS and PASCAL VOC, so it is the same in
    every file: (128,0,0) is 1, (0,128,0) is 2, (255,0,0) is 2396745.
    """

    labels: LabelMap
    void: NDArray[np.bool_] | None = None
    notes: tuple[Note, ...] = ()
    white: bool = False


def _whole(values: NDArray[Any], name: str) -> tuple[NDArray[np.int64], str]:
    """Numbers of floating point as integers; those with a fraction as grey, and a word about it."""
    if not np.isfinite(values).all():
        raise InputError(f"{name} has values that are no numbers (NaN or infinite): {REMEDY}")
    if (values == np.rint(values)).all():
        return np.clip(values, -1, 2.0**31 - 1).astype(np.int64), ""
    if values.min() >= 0 and values.max() <= 255:
        grey = np.rint(values * (255 if values.max() <= 1 else 1)).astype(np.int64)
        return grey, "has numbers with a fraction"
    raise InputError(f"{name} has numbers with a fraction up to {values.max():g}: {REMEDY}")


def of_numbers(values: NDArray[Any], name: str, lossy: bool, numbered: bool = False) -> MaskContent:
    """The meaning of one number per pixel [H,W].

    ``name``: of the file, in messages. ``lossy``: whether the format changes values. ``numbered``:
    whether white alone is void, because other masks of the video number objects. Raises InputError
    if the values do not say which pixel belongs to which object.
    """
    if values.dtype == np.bool_:
        return MaskContent(values.astype(np.int32))
    why = "is a JPEG, which blurs numbers" if lossy else ""
    if values.dtype.kind == "f":
        values, why = _whole(values, name)
    lowest, top = int(values.min(initial=0)), int(values.max(initial=0))
    if lowest < 0 or top > 65535:
        raise InputError(
            f"{name} has numbers from {lowest} to {top}: number objects from 1 to {HIGHEST}"
        )
    levels = levels_of(values)
    marked = levels.values[levels.values > 0].tolist()
    void = 255 if values.dtype.itemsize == 1 else 65535
    if numbered and marked == [void]:
        return _with_void(np.zeros(values.shape, np.int32), values == void, name, f"{void}")
    if marked in ([255], [65535]):
        return MaskContent((values > 0).astype(np.int32), white=True)
    if not why and _is_soft(values, levels, void):
        why = "looks resampled"
    if why:
        return _of_soft(values, levels, name, why)
    labels = values.astype(np.int32)
    if top == void and len(marked) > 1:
        return _with_void(labels, labels == void, name, f"{void}")
    if values.dtype.itemsize > 1 and top == 255 and len(marked) > 1:
        text = f"{name}: 255 is an object, because void is {void} in files of more than 8 bits"
        return MaskContent(labels, None, (Note("deep", text),))
    return MaskContent(labels)


def _is_soft(values: NDArray[np.integer], levels: Levels, void: int) -> bool:
    """Whether a map was resampled; a thin rim of void is no sign of it."""
    if levels.values[-1] == void and levels.thin[-1] and not is_black_and_white(levels):
        values = np.where(values == void, 0, values)
        levels = levels_of(values)
    return looks_resampled(values, levels)


def _of_soft(values: NDArray[np.integer], levels: Levels, name: str, why: str) -> MaskContent:
    """One object with soft edges; raises InputError if there are several, or none."""
    if levels.values[-1] == 0:
        return MaskContent(values.astype(np.int32))
    if not is_black_and_white(levels):
        raise InputError(
            f"{name} {why}: its {len(levels.values)} values run into each other, so its objects "
            f"are not known; {REMEDY}"
        )
    text = (
        f"{name} {why}: it has {len(levels.values)} values; read as one object, at least "
        f"half as bright as its brightest pixel. For exact edges, {REMEDY}"
    )
    return MaskContent(
        (2 * values.astype(np.int64) >= levels.values[-1]).astype(np.int32),
        None,
        (Note("soft", text),),
    )


def _with_void(
    labels: LabelMap, void: NDArray[np.bool_], name: str, what: str, notes: tuple[Note, ...] = ()
) -> MaskContent:
    text = (
        f"{name}: {what} is void, {np.count_nonzero(void)} pixels: they belong to no object and "
        "are ignored; if it is an object, give it another number"
    )
    return MaskContent(
        np.where(void, 0, labels).astype(np.int32), void, (*notes, Note("void", text))
    )


def of_transparency(values: NDArray[np.uint8], name: str, numbered: bool = False) -> MaskContent:
    """The meaning of colours with their opacity [H,W,4]; see ``of_numbers``."""
    opacity, colours = values[..., 3], values[..., :3]
    if opacity.min() == opacity.max():
        return of_colours(colours, name, False, numbered)
    opaque = 2 * opacity.astype(np.int32) >= int(opacity.max())
    seen = _codes(colours)[opaque]
    if seen.min() == seen.max():
        return MaskContent(opaque.astype(np.int32))
    if len(np.unique(seen)) > _MOST_COLOURS:
        text = f"{name}: a picture on a transparent ground, so where it is opaque is one object"
        return MaskContent(opaque.astype(np.int32), None, (Note("cut out", text),))
    layer = np.where(opaque[..., None], colours, 0).astype(np.uint8)
    return of_colours(layer, name, False, numbered)


def of_colours(
    colours: NDArray[np.uint8], name: str, lossy: bool, numbered: bool = False
) -> MaskContent:
    """The meaning of colours [H,W,3]; see ``of_numbers``."""
    spread = int((colours.max(axis=2) - colours.min(axis=2)).max(initial=0))
    if spread <= (16 if lossy else 0):
        return of_numbers(colours.max(axis=2), name, lossy, numbered)
    if lossy:
        raise InputError(f"{name} is a colour JPEG, which changes colours along edges: {REMEDY}")
    codes = _codes(colours)
    found, places = np.unique(codes, return_inverse=True)
    places = places.reshape(codes.shape)
    levels = levels_of(places)
    blurred = len(found) > _MOST_COLOURS + 1 or mostly_thin(levels)
    if blurred and _of_one_hue(colours):
        return of_numbers(colours.max(axis=2), name, lossy, numbered)
    if blurred:
        raise InputError(
            f"{name} is a photo, or looks resampled: its {len(found)} colours run into each other, "
            f"so its objects are not known; {REMEDY}"
        )
    if found[0] != 0:
        raise InputError(
            f"{name} has no black pixel, and black is the background of a mask in colours: paint "
            "what is no object black, or save an indexed PNG with one number per object"
        )
    numbers = _numbers_of(found)
    labels = numbers[places].astype(np.int32)
    order = found[np.argsort(numbers)][1:].tolist()
    objects = [f"#{code:06x}" for code in order if code != _CREAM or len(order) == 1]
    shown = ", ".join(objects[:8]) + (", ..." if len(objects) > 8 else "")
    note = Note(
        "colours", f"{name} is in colours: each is an object, black is background ({shown})"
    )
    if len(found) > 2 and _CREAM in found:
        return _with_void(labels, codes == _CREAM, name, "the colour #e0e0c0", (note,))
    return MaskContent(labels, None, (note,))


def _of_one_hue(colours: NDArray[np.uint8]) -> bool:
    """Whether all colours [H,W,3] are darker ones of the brightest."""
    bright = colours.max(axis=2).astype(np.float64)
    brightest = colours.reshape(-1, 3)[bright.argmax()].astype(np.float64)
    expected = bright[..., None] * brightest / max(brightest.max(), 1)
    return bool(np.abs(expected - colours).max() <= 3)


def _codes(colours: NDArray[np.uint8]) -> NDArray[np.int64]:
    """0xRRGGBB for each pixel."""
    red, green, blue = np.moveaxis(colours.astype(np.int64), -1, 0)
    return (red << 16) | (green << 8) | blue


def _numbers_of(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of each colour 0xRRGGBB in the palette of PASCAL VOC, which has all 2^24 colours.

    Bit 3 k of a number is bit 7 - k of the red, bit 3 k + 1 that of the green, 3 k + 2 of the blue.
    """
    numbers = np.zeros_like(codes)
    for channel, shift in enumerate((16, 8, 0)):
        for bit in range(8):
            numbers |= ((codes >> (shift + 7 - bit)) & 1) << (3 * bit + channel)
    return numbers
