"""Video files, video streams and cameras, decoded frame by frame."""

import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from hqtrack.errors import InputError
from hqtrack.types import Image
from hqtrack.video.packets import Decoded, decode, find_pictures
from hqtrack.video.upright import upright

RATE = Fraction(25)
"""Frames per second if the source does not specify them."""

_SILENCE = 30.0
"""A video stream that sends nothing for so many seconds counts as lost."""


class Frame(NamedTuple):
    """A frame: its number in the video, counted from 1, its file's name and its pixels.

    The name of a frame without a file is its number in eight digits. time: the second at which it
    is shown, None if the rate of the video says it. damaged: its own pixels are lost, entirely or
    in parts; then they are those of the frame before, or what the decoder could guess.
    """

    number: int
    name: str
    image: Image
    time: Fraction | None = None
    damaged: bool = False

    @property
    def stem(self) -> str:
        """The name of result files for this frame, without the suffix."""
        return Path(self.name).stem


@dataclass(frozen=True)
class EncodedVideo:
    """A video file or a video stream, decoded by FFmpeg; a ``Source``.

    Containers do not always hold as many frames as they say, so the total is not known.
    """

    address: str
    name: str
    rate: Fraction
    expected: int | None
    live: bool
    declared: int = 0
    """Number of frames by the file's own count, 0 without one."""
    total: None = None

    def read(self, start: int = 1, every: int = 1) -> Iterator[Frame]:
        """See ``Source.read``; frames are upright, as players show them.

        A frame that cannot be decoded shows the frame before it, as in players, and is marked as
        damaged. Before the first frame that can be decoded there is nothing to show; such frames
        are left out, and count.
        """
        frames = self._decode(start, every)
        return newest(frames) if self.live else frames

    def _decode(self, start: int, every: int) -> Iterator[Frame]:
        size: tuple[int, ...] | None = None
        number, good = 0, None
        try:
            for number, (picture, time) in enumerate(self._pictures(), start=1):
                damaged = picture is None or picture.is_corrupt
                good = picture or good
                if number < start or (number - start) % every or good is None:
                    continue
                image = image_of(good)
                size = size or image.shape[:2]
                self._check_size(image, size, number)
                yield Frame(number, f"{number:08d}", image, time, damaged)
        except av.FFmpegError as error:
            raise InputError(
                f"{self.address} cannot be read after frame {number} ({error.strerror}): it is "
                "damaged or cut off; repair it with: ffmpeg -i VIDEO -c:v libx264 FIXED.mp4"
            ) from error
        if self.declared and number < self.declared and not self.live:
            print(
                f"hqtrack: {self.address} says that it has {self.declared} frames, and {number} "
                "can be read: it is cut off or damaged, unless a player shows no more of it either",
                file=sys.stderr,
            )
        if number and good is None:
            raise InputError(
                f"{self.address} is damaged: none of its {number} frames can be decoded; copy it "
                "again"
            )
        check_reached(self.address, start, number)

    def _pictures(self) -> Iterator[Decoded]:
        """The pictures; after the first damaged one, decoded again by one thread.

        Several threads report an error late, and lose pictures beside it.
        """
        given = 0
        if not self.live:
            with _open(self.address) as container, suppress(av.InvalidDataError):
                for decoded in decode(container, _stream(container), tolerant=False):
                    yield decoded
                    given += 1
                return
        with _open(self.address, threads=False) as container:
            pictures = decode(container, _stream(container), tolerant=True)
            yield from islice(pictures, given, None)

    def _check_size(self, image: Image, size: tuple[int, ...], number: int) -> None:
        if image.shape[:2] == size:
            return
        raise InputError(
            f"{self.address}, frame {number} is {image.shape[1]}x{image.shape[0]} but the video "
            f"started with {size[1]}x{size[0]}: bring all frames to one size with: ffmpeg -i VIDEO "
            f"-vf scale={size[1]}:{size[0]} -c:v libx264 FIXED.mp4; or track the rest with --start "
            f"{number} and another --output"
        )


@dataclass(frozen=True)
class Camera:
    """A camera of this machine, by its index; a ``Source``."""

    index: int
    rate: Fraction = RATE
    expected: None = None
    total: None = None
    live: bool = True

    @property
    def name(self) -> str:
        """``camera`` and the index."""
        return f"camera{self.index}"

    @property
    def address(self) -> str:
        """The name, which is unique on this machine."""
        return self.name

    def read(self, start: int = 1, every: int = 1) -> Iterator[Frame]:
        """See ``Source.read``; frames that arrive between two requests are dropped."""
        return newest(self._grab(start, every))

    def _grab(self, start: int, every: int) -> Iterator[Frame]:
        camera = cv2.VideoCapture(self.index)
        try:
            if not camera.isOpened():
                raise InputError(
                    f"there is no camera {self.index}, or another program uses it: cameras count "
                    "from 0; for a file of this name give its path"
                )
            number = 0
            while True:
                number += 1
                seen, picture = camera.read()
                if not seen:
                    raise InputError(f"camera {self.index} stopped after {number - 1} frames")
                if number >= start and (number - start) % every == 0:
                    image: Image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8)
                    yield Frame(number, f"{number:08d}", image)
        finally:
            camera.release()


def open_video(address: str, name: str, live: bool = False) -> EncodedVideo:
    """Open a video file or a video stream.

    Raises InputError if it is not a video, or if no decoder here can decode it.
    """
    with _open(address) as container:
        stream = _stream(container)
        rate = stream.average_rate or stream.guessed_rate or RATE
        total = _count(container, stream)
        return EncodedVideo(address, name, Fraction(rate), total, live, stream.frames)


def check_reached(address: str, start: int, total: int) -> None:
    """Raise InputError, which says how many frames there are, if ``start`` is behind the last."""
    if start > total:
        raise InputError(
            f"{address} has no frame {start}: its last frame is {total}; give a lower --start"
            if total
            else f"{address} has no frame that can be decoded"
        )


def newest(frames: Iterator[Frame]) -> Iterator[Frame]:
    """The newest of live frames at each request; the frames between two requests are lost.

    When ``frames`` ends or raises an exception, this does the same after its last frame.
    """
    state = threading.Condition()
    waiting: list[Frame] = []
    outcome: list[Exception | None] = []
    stopped = threading.Event()

    def take() -> None:
        failure = None
        try:
            for frame in frames:
                with state:
                    waiting[:] = [frame]
                    state.notify()
                if stopped.is_set():
                    return
        except Exception as error:  # raised in the thread that requests frames
            failure = error
        with state:
            outcome.append(failure)
            state.notify()

    threading.Thread(target=take, daemon=True).start()
    try:
        while True:
            with state:
                state.wait_for(lambda: waiting or outcome)
                if not waiting:
                    break
                frame = waiting.pop()
            yield frame
        if outcome[0] is not None:
            raise outcome[0]
    finally:
        stopped.set()


def image_of(picture: VideoFrame) -> Image:
    """The pixels of a decoded picture, upright."""
    pixels = picture.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    matrix = picture.side_data.get("DISPLAYMATRIX")
    return upright(pixels, bytes(matrix) if isinstance(matrix, SideData) else None)


def _stream(container: InputContainer) -> VideoStream:
    """The moving pictures of a container that ``_open`` opened."""
    stream = find_pictures(container)
    if stream is None:
        raise TypeError("the container has no moving pictures")
    return stream


def _open(address: str, threads: bool = True) -> InputContainer:
    """Open a container with a video stream and a decoder for it; raises InputError without one."""
    try:
        container = av.open(address, timeout=_SILENCE if "://" in address else None)
    except PermissionError as error:
        raise InputError(
            f"no permission to read {address}: ask its owner, or chmod +r it"
        ) from error
    except av.FFmpegError as error:
        if "://" in address:
            raise InputError(f"cannot open {address}: {error.strerror}; check the URL") from error
        raise InputError(
            f"{address} is not a video, or it is damaged ({error.strerror}): give a video file or "
            "a folder of images"
        ) from error
    stream = find_pictures(container)
    if stream is None:
        cover = bool(container.streams.video)
        container.close()
        if cover:
            raise InputError(
                f"{address} is sound with a cover picture, which is no video: give a video; for "
                "the picture alone: ffmpeg -i SOUND -frames:v 1 COVER.png"
            )
        raise InputError(f"{address} has no pictures: give a video, not only sound")
    if stream.codec_context is None:
        container.close()
        raise InputError(
            f"{address} is coded in a way that no decoder here knows: convert it with a program "
            "that plays it, for example: ffmpeg -i VIDEO -c:v libx264 CONVERTED.mp4"
        )
    # decode on every core; the frames stay the same
    stream.thread_type = "AUTO" if threads else "SLICE"
    return container


def _count(container: InputContainer, stream: VideoStream) -> int | None:
    if stream.frames:
        return stream.frames
    if container.duration and stream.average_rate:
        return round(container.duration / av.time_base * stream.average_rate)
    return None
