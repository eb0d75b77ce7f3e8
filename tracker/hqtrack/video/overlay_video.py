"""A video with masks and object numbers drawn on it."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from hqtrack.errors import InputError
from hqtrack.types import Image, Masks
from hqtrack.video.legend import draw_legend
from hqtrack.video.overlay import draw_masks, object_colours
from hqtrack.video.streams import Frame

_CODECS = {
    "libx264": {"preset": "veryfast", "crf": "20"},
    "mpeg4": {"qscale": "3"},
}
"""Encoders with their options; the video uses the first that this FFmpeg has."""


_TICK = Fraction(1, 60000)
"""Seconds; the usual rates are whole numbers of it."""


class Clock:
    """The times of frames, in ticks from the first one on; they always increase."""

    def __init__(self, rate: Fraction) -> None:
        """``rate``: frames per second, for frames without a time."""
        self._rate = rate
        self._start: Fraction | None = None
        self._number = 0
        self._time = Fraction(0)
        self._ticks = -1

    def ticks(self, frame: Frame) -> int:
        """The time of the next frame; without one, as much later as its number says."""
        time = frame.time
        if time is None:
            time = self._time + (frame.number - self._number) / self._rate
        if self._start is None:
            self._start = time
        self._number, self._time = frame.number, time
        self._ticks = max(round((time - self._start) / _TICK), self._ticks + 1)
        return self._ticks


class OverlayVideo:
    """Writes frames with their masks to a video file, with the timing of the original.

    A context manager; after closing, the file is playable with all frames written so far.
    """

    def __init__(self, path: Path, rate: Fraction, names: Mapping[int, str] | None = None) -> None:
        """``rate``: frames per second of the original. ``names``: of objects, for the legend."""
        self._path = path
        self._names = names or {}
        self._rate = rate
        self._container = av.open(path, "w")
        self._stream: VideoStream | None = None
        self._clock = Clock(rate)

    def write(self, frame: Frame, masks: Masks, numbers: Sequence[int]) -> None:
        """Append a frame with its masks [N,H,W] and the numbers of the objects.

        Call it in the order of the frames, which have the same size.
        """
        drawn = draw_masks(frame.image, masks, numbers)
        _draw_numbers(drawn, masks, numbers)
        draw_legend(drawn, {n: name for n, name in self._names.items() if n in numbers})
        picture = even(drawn)
        if self._stream is None:
            self._stream = self._start(picture)
        video_frame = av.VideoFrame.from_ndarray(picture, "rgb24")
        video_frame.pts = self._clock.ticks(frame)
        video_frame.time_base = _TICK
        self._container.mux(self._stream.encode(video_frame))

    def close(self) -> None:
        """Write the frames still in the encoder and the end of the file."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def __enter__(self) -> "OverlayVideo":
        """The video itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close it."""
        self.close()

    def _start(self, picture: Image) -> VideoStream:
        codec = next((name for name in _CODECS if name in av.codec.codecs_available), None)
        if codec is None:
            raise InputError(
                f"cannot write {self._path}: the FFmpeg of PyAV has no {' or '.join(_CODECS)} "
                "encoder; omit --overlay, or install av from PyPI"
            )
        stream = self._container.add_stream(codec, rate=self._rate, options=_CODECS[codec])
        if not isinstance(stream, VideoStream):
            raise TypeError(f"{codec} is not a video codec")
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = _TICK
        return stream


def frames_in(path: Path) -> int:
    """The number of frames in an overlay; 0 if there is none, or if it cannot be played."""
    try:
        with av.open(path) as container:
            return container.streams.video[0].frames
    except (av.FFmpegError, IndexError):
        return 0


def _draw_numbers(image: Image, masks: Masks, numbers: Sequence[int]) -> None:
    """Write the number of each object on the thickest part of its mask, into the image."""
    scale = max(0.4, min(image.shape[:2]) / 1200)
    thickness = max(1, round(2 * scale))
    colours = object_colours(numbers)
    for number, mask, colour in zip(numbers, masks, colours, strict=True):
        if not mask.any():
            continue
        text = str(number)
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
        middle_x, middle_y = thickest_place(mask)
        x, y, edge = middle_x - width // 2, middle_y + height // 2, 2 * thickness
        image[max(y - height - edge, 0) : y + edge, max(x - edge, 0) : x + width + edge] = colour
        ink = (0, 0, 0) if colour.mean() > 110 else (255, 255, 255)
        cv2.putText(
            image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thickness, cv2.LINE_AA
        )


def thickest_place(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Approximately the pixel (x, y) of a nonempty mask [H,W] that is farthest from its border."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    part = mask[y : y + height, x : x + width]
    step = max(1, max(part.shape) // 64)
    coarse = np.pad(part[::step, ::step].view(np.uint8), 1)
    depth = cv2.distanceTransform(coarse, cv2.DIST_L2, 3)[1:-1, 1:-1]
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return x + int(column) * step, y + int(row) * step


def even(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image with even height and width, as codecs need; repeats the last row or column."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return image
