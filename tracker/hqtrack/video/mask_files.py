"""Mask files: which pixel belongs to which object, in every format in which people save masks.

=============================  =====================================================================
file                           what its values mean
=============================  =====================================================================
indexed or grey, 8 bits        object numbers; 255 beside others is void, alone it is one object
16 or 32 bits                  object numbers; 65535 beside others is void, alone it is one object
floating point                 object numbers; with fractions, one object with soft edges
1 bit                          one object
soft edges in grey, grey JPEG  one object: at least half as bright as the brightest pixel
colours                        black is background, every other colour an object
transparency                   what is opaque counts; of one colour, or a photo, it is one object
=============================  =====================================================================

Nothing is known about void pixels: they belong to no object.
"""

import io
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageOps

from hqtrack.errors import InputError
from hqtrack.types import LabelMap
from hqtrack.video.images import check_pixels, count_pictures, read_bytes
from hqtrack.video.mask_rules import (
    HIGHEST,
    REMEDY,
    MaskContent,
    of_colours,
    of_numbers,
    of_transparency,
)
from hqtrack.video.overlay import object_colours

_LOSSY = {"JPEG", "MPO", "JPEG2000", "AVIF"}
_ALPHA_MODES = {"LA", "La", "PA", "RGBA", "RGBa"}


def read_mask_file(path: Path, numbered: bool = False) -> MaskContent:
    """Read a mask file by the rules of this module.

    ``numbered``: whether white alone is void, because other masks of the video number objects.
    Raises MissingFileError if there is no file, InputError if it is damaged, has more than
    ``hqtrack.masks.MAX_PIXELS``, or does not say which pixel belongs to which object.
    """
    return decode_mask_file(read_bytes(path), path, numbered)


def decode_mask_file(data: bytes, path: Path, numbered: bool = False) -> MaskContent:
    """Decode the content of a mask file; see ``read_mask_file``. ``path``: its name in errors."""
    values, lossy = _decode(data, path)
    if values.ndim == 2:
        return of_numbers(values, str(path), lossy, numbered)
    if values.shape[2] == 4:
        return of_transparency(values, str(path), numbered)
    return of_colours(values, str(path), lossy, numbered)


def tell(content: MaskContent, told: set[str]) -> None:
    """Print the notes of a mask file on stderr, but for those of a kind in ``told``; add theirs."""
    for note in content.notes:
        if note.kind not in told:
            told.add(note.kind)
            print(f"hqtrack: {note.text}", file=sys.stderr)


def read_labels(path: Path) -> LabelMap:
    """The labels of a mask file; see ``read_mask_file``."""
    return read_mask_file(path).labels


def read_numbers(path: Path) -> LabelMap:
    """Read a file that ``write_labels`` wrote: its values as they are, 255 and 65535 too.

    Raises MissingFileError if there is no file, InputError if it is no such file.
    """
    values, _ = _decode(read_bytes(path), path)
    if values.ndim != 2 or values.dtype.kind not in "bui":
        raise InputError(f"{path} is not a label map that hqtrack wrote: it has no numbers")
    return values.astype(np.int32)


def write_labels(path: Path, labels: NDArray[np.integer]) -> None:
    """Write a label map [H,W] as PNG: indexed with the objects' colours, or 16-bit from 255 on.

    Raises InputError for labels outside 0 to 65534, OSError if the file cannot be written.
    """
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest > HIGHEST:
        raise InputError(f"labels from {lowest} to {highest} do not fit a PNG: use 0 to {HIGHEST}")
    if highest > 254:
        picture = PillowImage.fromarray(labels.astype(np.uint16))
    else:
        picture = PillowImage.fromarray(labels.astype(np.uint8), mode="P")
        picture.putpalette([0, 0, 0, *object_colours(range(1, 256)).ravel().tolist()])
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    path.write_bytes(encoded.getvalue())


def _decode(data: bytes, path: Path) -> tuple[NDArray[Any], bool]:
    """Values [H,W] or [H,W,3 or 4], and whether the format changes them."""
    if path.suffix.lower() == ".npy":
        return _array(data, path), False
    check_pixels(path, data)
    try:
        with PillowImage.open(io.BytesIO(data)) as picture:
            pictures = count_pictures(picture)
            lossy = picture.format in _LOSSY
            # an orientation is applied to images, too
            turned = (
                ImageOps.exif_transpose(picture)
                if picture.getexif().get(0x0112, 1) != 1
                else picture
            )
            turned = _by_colour_if_quantised(turned)
            mode = turned.mode
            if mode in {"1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"}:
                values = np.asarray(turned)
            else:
                mode = "RGBA" if mode in _ALPHA_MODES else "RGB"
                values = np.asarray(turned.convert(mode))
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(
            f"cannot read {path} as a mask file: it is damaged or of an unknown format; copy it "
            "again, or save it as PNG"
        ) from error
    if pictures > 1:
        raise InputError(
            f"{path} has {pictures} images in one file: save the mask of each frame as its own file"
        )
    return values, lossy


def _array(data: bytes, path: Path) -> NDArray[Any]:
    """The array [H,W] of numbers in a file of numpy."""
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, kind = read(file)
        size = math.prod(map(int, shape)) * int(kind.itemsize)
        # before numpy makes room for it
        if len(shape) != 2 or kind.kind not in "bufi" or len(data) < size:
            raise InputError(
                f"{path} is not an array [H,W] of numbers: save one label map, dtype uint16"
            )
        file.seek(0)
        return np.asarray(np.load(file, allow_pickle=False))
    except InputError:
        raise
    except Exception as error:  # numpy raises many kinds, depending on where the damage is
        raise InputError(
            f"{path} is not a file of numpy.save, or it is damaged: {REMEDY}"
        ) from error


def _by_colour_if_quantised(picture: PillowImage.Image) -> PillowImage.Image:
    """An indexed picture in colours if a program chose its palette, so that 0 is not black."""
    if picture.mode != "P":
        return picture
    palette = np.array(picture.getpalette("RGB"), np.int64).reshape(-1, 3).sum(axis=1)
    used = np.unique(np.asarray(picture))
    quantised = palette[:1].any() and not palette[used[used < len(palette)]].all()
    return picture.convert("RGB") if quantised else picture
