"""Several images in one file as a video: pages of a TIFF, animations in PNG or WebP."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import TiffImagePlugin

from hqtrack.errors import InputError
from hqtrack.masks import MAX_PIXELS, check_next_image
from hqtrack.types import Image
from hqtrack.video.images import page_numbers
from hqtrack.video.streams import RATE, Frame, check_reached


@dataclass(frozen=True)
class ImageStack:
    """The images of one file, in their order; a ``Source``.

    ``pages``: the places of the images in the file, which may also have previews of them.
    """

    path: Path
    name: str
    address: str
    pages: tuple[int, ...]
    rate: Fraction = RATE
    live: bool = False

    @property
    def total(self) -> int:
        """Number of images."""
        return len(self.pages)

    @property
    def expected(self) -> int:
        """Number of images."""
        return self.total

    def read(self, start: int = 1, every: int = 1) -> Iterator[Frame]:
        """See ``Source.read``; animations have the times of their images."""
        check_reached(self.address, start, self.total)
        size: tuple[int, ...] | None = None
        time: Fraction | None = Fraction(0)
        with _opened(self.path) as picture:
            for number, page in enumerate(self.pages, start=1):
                shown, lasts = time, _lasts(picture, page)
                time = time + lasts if lasts and time is not None else None
                if number < start or (number - start) % every:
                    continue
                image = _page(picture, self.path, page)
                size = size or image.shape[:2]
                check_next_image(image, size, f"{self.path}, image {number}")
                yield Frame(number, f"{number:08d}", image, shown)


def open_stack(path: Path, name: str) -> ImageStack | None:
    """The images of a file as a video; None if it has only one, or is no image that can be read."""
    try:
        with _opened(path) as picture:
            pages = page_numbers(picture)
            lasts = [_lasts(picture, page) for page in pages]
    except InputError:
        return None  # whoever reads it says what is wrong
    if len(pages) < 2:
        return None
    rate = len(pages) / sum(lasts, Fraction(0)) if all(lasts) else RATE
    return ImageStack(path, name, str(path.resolve()), pages, rate)


@contextmanager
def _opened(path: Path) -> Iterator[PillowImage.Image]:
    """An image file with its errors as InputError."""
    try:
        with PillowImage.open(path) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise InputError(f"{path} has images of more than {MAX_PIXELS} pixels")
            yield picture
    except (InputError, MemoryError):
        raise
    except Exception as error:  # Pillow raises many kinds, depending on where the damage is
        raise InputError(
            f"cannot read the images in {path} ({error}): it is damaged; save each as a file of "
            "its own, and give their folder"
        ) from error


def _lasts(picture: PillowImage.Image, page: int) -> Fraction:
    """Go to an image of an open file; returns for how many seconds it is shown, 0 if unknown."""
    picture.seek(page)
    if picture.format == "WEBP":
        picture.load()  # only then its time is known
    return Fraction(picture.info.get("duration") or 0) / 1000


def _page(picture: PillowImage.Image, path: Path, page: int) -> Image:
    """An image of an open file, 8 bits and RGB, as ``hqtrack.video.read_image`` reads images."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return np.asarray(picture.convert("RGB"))
    read, pages = cv2.imreadmulti(str(path), start=page, count=1, flags=cv2.IMREAD_COLOR)
    if not read:
        raise InputError(
            f"cannot read image {page + 1} in {path}: it is damaged, or of an unknown kind; save "
            "each image as a file of its own, and give their folder"
        )
    return cv2.cvtColor(pages[0], cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
