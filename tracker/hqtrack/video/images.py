"""Images on disk."""

import io
import itertools
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import TiffImagePlugin

from hqtrack.errors import InputError, MissingFileError, ran_out_of_memory
from hqtrack.masks import MAX_PIXELS, check_next_image
from hqtrack.types import Image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_MAX_FILE_BYTES = 12 * MAX_PIXELS  # four channels of 16 bits, and room for what else is in it
_TIFF_SUBFILE, _TIFF_COPY = 254, 1 | 4
_PARTS = re.compile(r"\d+|\D+")
_NOT_OF_PEOPLE = {"__macosx", "@eadir", "lost+found", "$recycle.bin", "system volume information"}
"""Folders that operating systems create, in lower case."""


def read_image(path: Path) -> Image:
    """Read an image file as 8-bit RGB, decoded by OpenCV as in the published pipeline.

    Grey becomes RGB, the alpha channel is dropped, palettes become colours, and 16 bits are scaled
    to 8. An EXIF orientation is applied, as viewers and the VOT toolkit do, so masks that were
    drawn in a viewer fit. Raises MissingFileError if there is no file, InputError if it is not a
    complete image, has several images or more than ``hqtrack.masks.MAX_PIXELS``, MemoryError if it
    does not fit.
    """
    data = read_bytes(path)
    pictures = check_pixels(path, data)
    if pictures > 1:
        raise InputError(
            f"{path} has {pictures} images in one file where one image is expected: give the file "
            "alone, as a video, or save each image as its own file"
        )
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    except cv2.error as error:
        if ran_out_of_memory(error):
            raise MemoryError(f"no memory to decode {path}") from error
        pixels = None  # OpenCV has a limit of its own
    if pixels is None:
        raise InputError(f"cannot read {path} as an image: it is damaged or of an unknown format")
    return _swapped(pixels.astype(np.uint8, copy=False))


def encode_jpeg(image: Image, quality: int = 95) -> bytes:
    """The image [H,W,3] as a JPEG file of a quality from 0 to 100."""
    _, data = cv2.imencode(".jpg", _swapped(image), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data.tobytes()


def write_image(path: Path, image: Image) -> None:
    """Write an image [H,W,3] as JPEG of quality 95 or as PNG, by the ending of the path.

    Raises OSError where the file cannot be written.
    """
    if path.suffix.lower() == ".png":
        data = cv2.imencode(".png", _swapped(image))[1].tobytes()
    else:
        data = encode_jpeg(image)
    path.write_bytes(data)


def _swapped(image: Image) -> Image:
    """RGB as OpenCV has it, or the other way round."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR).astype(np.uint8, copy=False)


def read_frames(paths: Iterable[Path]) -> Iterator[Image]:
    """Read images one after the other; raises InputError if one differs in size from the first."""
    size: tuple[int, ...] | None = None
    for path in paths:
        image = read_image(path)
        size = size or image.shape[:2]
        check_next_image(image, size, str(path))
        yield image


def is_hidden(path: Path) -> bool:
    """Whether the name of a file or folder says that a system made it, not a person.

    Names that begin with a dot are hidden (``.DS_Store``, or ``._00001.jpg``, which macOS writes
    next to ``00001.jpg``), and so are folders that operating systems make, such as ``__MACOSX``.
    """
    return path.name.startswith(".") or path.name.lower() in _NOT_OF_PEOPLE


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder, sorted by the numbers in their names (9 before 10).

    Raises MissingFileError if there is no folder, InputError if it has no image or two of the same
    name.
    """
    check_folder(folder)
    images = order_images(folder.iterdir())
    if not images:
        raise InputError(f"no images in {folder}; image files end in {', '.join(IMAGE_SUFFIXES)}")
    return images


def order_images(paths: Iterable[Path]) -> list[Path]:
    """The images among the paths, sorted by the numbers in their names (9 before 10).

    Hidden files do not count, see ``is_hidden``. Raises InputError if two have the same name.
    """
    images = [p for p in paths if p.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(p)]
    images.sort(key=lambda path: _natural_order(path.stem))
    for one, other in itertools.pairwise(images):
        if one.stem == other.stem:
            raise InputError(
                f"{one} and {other} have the same name: remove the one that is not the frame"
            )
    return images


def read_bytes(path: Path) -> bytes:
    """The content of a regular file; others may have no end, or wait for a writer.

    Raises MissingFileError if there is none, InputError if it is not readable, no regular file or
    larger than any image can be.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"{path} is no regular file: give an image in a file")
            if status.st_size > _MAX_FILE_BYTES:
                raise InputError(
                    f"{path} has {status.st_size >> 20} MiB, more than any image that can be used "
                    f"({_MAX_FILE_BYTES >> 20} MiB): give a smaller one"
                )
            return file.read()
    except FileNotFoundError:
        raise MissingFileError(f"there is no file {path}; check the path") from None
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{str(path)!a} cannot be the path of a file: {error}") from error
    except OSError as error:
        raise InputError(
            f"cannot read {path} ({error.strerror}): give a file that you may read"
        ) from error


def check_pixels(path: Path, data: bytes) -> int:
    """Raise InputError for too large an image by what its header says, before it is decoded.

    Returns how many images are in the file; see ``count_pictures``. A header that cannot be read is
    left to the decoder, and counts as one.
    """
    message = (
        f"{path} has more than {MAX_PIXELS} pixels, the most that can be used: make it smaller"
    )
    try:
        with PillowImage.open(io.BytesIO(data)) as picture:
            width, height = picture.size
            pictures = count_pictures(picture) if width * height <= MAX_PIXELS else 1
    except (PillowImage.DecompressionBombError, PillowImage.DecompressionBombWarning) as error:
        raise InputError(message) from error
    except Exception:  # Pillow raises many kinds, depending on where the damage is
        return 1
    if width * height > MAX_PIXELS:
        raise InputError(message)
    return pictures


def count_pictures(picture: PillowImage.Image) -> int:
    """The number of images in an open file; see ``page_numbers``."""
    return len(page_numbers(picture))


def page_numbers(picture: PillowImage.Image) -> tuple[int, ...]:
    """The places of the images in an open file: pages, or the frames of an animation.

    Copies do not count: previews in TIFF files, and the further images of a telephone's JPEG.
    """
    pages = range(int(getattr(picture, "n_frames", 1)))
    if len(pages) == 1 or picture.format == "MPO":
        return (0,)
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return tuple(pages)
    found = []
    for page in pages:
        picture.seek(page)
        if not picture.tag_v2.get(_TIFF_SUBFILE, 0) & _TIFF_COPY:
            found.append(page)
    picture.seek(0)
    return tuple(found) or (0,)


def check_folder(folder: Path) -> None:
    """Raise MissingFileError if the path does not exist, InputError if it is not a folder."""
    if not folder.exists():
        raise MissingFileError(f"there is no folder {folder}; check the path")
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the folder that contains the files")


def _natural_order(name: str) -> list[tuple[int, str]]:
    """Sort key that compares runs of digits as numbers."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _PARTS.findall(name)]
