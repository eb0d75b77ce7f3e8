"""Sources of frames: a video file, a folder or pattern of images, a camera, a video stream."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from hqtrack.errors import InputError, MissingFileError
from hqtrack.video.images import (
    IMAGE_SUFFIXES,
    is_hidden,
    list_images,
    order_images,
    read_frames,
)
from hqtrack.video.stacks import open_stack
from hqtrack.video.streams import RATE, Camera, Frame, check_reached, open_video

_NUMBER = re.compile(r"%0?\d*d")
"""Where the number of an image is in a pattern of its name, as in printf."""
_LIVE_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "srt")


class Source(Protocol):
    """A video. Unless it is live, it can be read several times, each time from the first frame."""

    @property
    def name(self) -> str:
        """The name of the results."""

    @property
    def address(self) -> str:
        """Identifies this video."""

    @property
    def rate(self) -> Fraction:
        """Frames per second."""

    @property
    def total(self) -> int | None:
        """Number of frames if it is known for certain, else None."""

    @property
    def expected(self) -> int | None:
        """About how many frames there are, None if there is no telling; nothing depends on it."""

    @property
    def live(self) -> bool:
        """Whether frames are lost if they are not read as they come."""

    def read(self, start: int = 1, every: int = 1) -> Iterator[Frame]:
        """Frame ``start``, counted from 1, and every ``every``-th after it; decoded on demand.

        Raises InputError if a frame cannot be read, or if frame ``start`` is behind the last one.
        """


def open_source(place: str | Path, *more: str | Path, but_not: Iterable[Path] = ()) -> Source:
    """Open a source of frames.

    ``place`` is a video file, an image, a file of several images, a folder of images or with
    ``color/``, a pattern (``*``, ``%05d``) of images, the index of a camera or a URL. Several
    places are images. Images in ``but_not`` are not frames. Raises MissingFileError if there is no
    such file, InputError if it cannot be read.
    """
    text, path = str(place), Path(place)
    if more:
        paths = _matching(map(Path, (place, *more)), f"{text} ...")
        return _images(paths, but_not, path.parent, f"{path.resolve()} and {len(more)} more")
    if path.is_dir():
        folder = _folder_of_images(path)
        return _images(list_images(folder), but_not, folder, str(folder.resolve()))
    if path.exists():
        if not path.is_file():
            raise InputError(
                f"{text} is no regular file but a pipe, socket or device: give a file, a folder, a "
                "URL, or for a camera its index, like 0"
            )
        if path.suffix.lower() in IMAGE_SUFFIXES:
            single = Images((path,), path.stem, str(path.resolve()))
            return open_stack(path, path.stem) or single
        return open_video(str(path.resolve()), path.stem)
    if text.isdecimal():
        return Camera(int(text))
    if "://" in text:
        live = text.split("://")[0].lower() in _LIVE_SCHEMES
        return open_video(text, Path(text.split("?")[0]).stem or "stream", live)
    if _NUMBER.search(path.name) or any(sign in text for sign in "*?["):
        numbered = _NUMBER.search(path.name) and path.parent.is_dir()
        found = _numbered(path) if numbered else _globbed(path)
        return _images(_matching(found, text), but_not, path.parent, str(path.absolute()))
    raise MissingFileError(f"there is no file or folder {text}; check the path")


@dataclass(frozen=True)
class Images:
    """Image files in this order; a ``Source``."""

    paths: tuple[Path, ...]
    name: str
    address: str
    rate: Fraction = RATE
    live: bool = False

    @property
    def total(self) -> int:
        """Number of files."""
        return len(self.paths)

    @property
    def expected(self) -> int:
        """Number of files."""
        return self.total

    def read(self, start: int = 1, every: int = 1) -> Iterator[Frame]:
        """See ``Source.read``; images between the requested ones are not decoded."""
        check_reached(self.address, start, self.total)
        numbers = range(start, self.total + 1, every)
        paths = self.paths[start - 1 :: every]
        for number, path, image in zip(numbers, paths, read_frames(paths), strict=True):
            yield Frame(number, path.name, image)


def _folder_of_images(folder: Path) -> Path:
    """The folder, or its folder ``color`` if it is a sequence.

    Raises InputError if neither has images, and names a folder in it that does.
    """
    if order_images(folder.iterdir()):
        return folder
    if (folder / "color").is_dir():
        return folder / "color"
    inner = (path for path in sorted(folder.iterdir()) if path.is_dir() and not is_hidden(path))
    having = [path for path in inner if any(map(_is_image, path.iterdir()))]
    if having:
        raise InputError(
            f"no images in {folder}, but in {len(having)} folders in it: give one, like {having[0]}"
        )
    return folder


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path)


def _numbered(path: Path) -> Iterator[Path]:
    """The files of a pattern like ``%05d.png``."""
    parts = (re.escape(part) for part in _NUMBER.split(path.name))
    name = re.compile(r"\d+".join(parts))
    return (file for file in path.parent.iterdir() if name.fullmatch(file.name))


def _globbed(path: Path) -> Iterator[Path]:
    """The files of a pattern with wildcards; in folders that exist, their signs are letters."""
    root, *parts = (Path(path.anchor), *path.relative_to(path.anchor).parts)
    while len(parts) > 1 and (root / parts[0]).is_dir():
        root /= parts.pop(0)
    return root.glob("/".join(parts))


def _matching(paths: Iterable[Path], what: str) -> list[Path]:
    images = order_images(paths)
    if not images:
        raise MissingFileError(
            f"no image matches {what}; image files end in {', '.join(IMAGE_SUFFIXES)}; in patterns "
            "* is any text, ? any letter, [ab] a or b, %05d a number; of videos, give one"
        )
    return images


def _images(paths: list[Path], but_not: Iterable[Path], folder: Path, address: str) -> Source:
    """The images without ``but_not``, named after their folder, or the one above ``color``."""
    excluded = {path.resolve() for path in but_not}
    frames = tuple(path for path in paths if path.resolve() not in excluded)
    if not frames:
        raise InputError(f"{address} has no image except the mask: add the frames")
    folder = folder.resolve()
    name = folder.parent.name if folder.name == "color" else folder.name
    stack = open_stack(frames[0], name or "images") if len(frames) == 1 else None
    return stack or Images(frames, name or "images", address)
