"""Video files, video streams and cameras, decoded frame by frame."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from hqtrack.errors import InputError
from hqtrack.masks import check_next_image
from hqtrack.types import Image

RATE = Fraction(25)
"""Frames per second if the source does not specify them."""

_SILENCE = 30.0
"""A video stream that sends nothing for so many seconds counts as lost."""


class Frame(NamedTuple):
    """A frame: its number in the video, counted from 1, its file's name and its pixels.

    The name of a frame without a file is its number in eight digits.
    """

    number: int
    name: str
    image: Image

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
    total: None = None

    def read(self, start: int = 1, every: int = 1) -> Iterator[Frame]:
        """See ``Source.read``; frames are upright, as players show them."""
        frames = self._decode(start, every)
        return newest(frames) if self.live else frames

    def _decode(self, start: int, every: int) -> Iterator[Frame]:
        size: tuple[int, ...] | None = None
        number = 0
        with _open(self.address) as container:
            try:
                for number, frame in enumerate(container.decode(video=0), start=1):
                    if number < start or (number - start) % every:
                        continue
                    pixels = frame.to_ndarray(format="rgb24")
                    image: Image = np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90))
                    size = size or image.shape[:2]
                    check_next_image(image, size, f"{self.address}, frame {number}")
                    yield Frame(number, f"{number:08d}", image)
            except av.FFmpegError as error:
                raise InputError(
                    f"{self.address} cannot be decoded after frame {number} ({error.strerror}): it "
                    "is damaged or cut off; repair it with: ffmpeg -i VIDEO -c:v libx264 FIXED.mp4"
                ) from error
        check_reached(self.address, start, number)


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
        stream = container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate or RATE
        return EncodedVideo(address, name, Fraction(rate), _count(container, stream), live)


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


def _open(address: str) -> InputContainer:
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
    if not container.streams.video:
        container.close()
        raise InputError(f"{address} has no pictures: give a video, not only sound")
    if container.streams.video[0].codec_context is None:
        container.close()
        raise InputError(
            f"{address} is coded in a way that no decoder here knows: convert it with a program "
            "that plays it, for example: ffmpeg -i VIDEO -c:v libx264 CONVERTED.mp4"
        )
    # decode on every core; the frames stay the same
    container.streams.video[0].thread_type = "AUTO"
    return container


def _count(container: InputContainer, stream: VideoStream) -> int | None:
    if stream.frames:
        return stream.frames
    if container.duration and stream.average_rate:
        return round(container.duration / av.time_base * stream.average_rate)
    return None
