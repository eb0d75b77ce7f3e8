"""Sources of frames: a video file, a folder or pattern of images, a camera, a video stream."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from hqtrack.errors import InputError, MissingFileError
from hqtrack.video.images import IMAGE_SUFFIXES, list_images, order_images, read_frames
from hqtrack.video.streams import RATE, Camera, Frame, check_reached, open_video

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

    ``place`` is a video file, an image, a folder of images, a pattern (``*``) of images, the index
    of a camera or a URL. Several places are images. Images in ``but_not`` are not frames. Raises
    MissingFileError if there is no such file, InputError if it cannot be read.
    """
    text, path = str(place), Path(place)
    if more:
        paths = _matching(map(Path, (place, *more)), f"{text} ...")
        return _images(paths, but_not, path.parent, f"{path.resolve()} and {len(more)} more")
    if path.is_dir():
        return _images(list_images(path), but_not, path, str(path.resolve()))
    if path.exists():
        if not path.is_file():
            raise InputError(
                f"{text} is no regular file but a pipe, socket or device: give a file, a folder, a "
                "URL, or for a camera its index, like 0"
            )
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return Images((path,), path.stem, str(path.resolve()))
        return open_video(str(path.resolve()), path.stem)
    if text.isdecimal():
        return Camera(int(text))
    if "://" in text:
        live = text.split("://")[0].lower() in _LIVE_SCHEMES
        return open_video(text, Path(text.split("?")[0]).stem or "stream", live)
    if any(sign in text for sign in "*?["):
        root = Path(path.anchor)
        found = root.glob(str(path.relative_to(root)))
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


def _matching(paths: Iterable[Path], what: str) -> list[Path]:
    images = order_images(paths)
    if not images:
        raise MissingFileError(
            f"no image matches {what}; image files end in {', '.join(IMAGE_SUFFIXES)}"
        )
    return images


def _images(paths: list[Path], but_not: Iterable[Path], folder: Path, address: str) -> Images:
    """The images without ``but_not``, named after their folder, or the one above ``color``."""
    excluded = {path.resolve() for path in but_not}
    frames = tuple(path for path in paths if path.resolve() not in excluded)
    if not frames:
        raise InputError(f"{address} has no image except the mask: add the frames")
    folder = folder.resolve()
    name = folder.parent.name if folder.name == "color" else folder.name
    return Images(frames, name or "images", address)
