"""Exports with the pixels of the video: cut-outs of objects, and the overlay."""

import contextlib
import re
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from hqtrack.errors import InputError
from hqtrack.exports.masks import label_map, object_mask
from hqtrack.exports.stored import StoredRun
from hqtrack.masks import label_masks
from hqtrack.runs.objects import Numbered
from hqtrack.types import Image
from hqtrack.video.overlay_video import OverlayVideo, even
from hqtrack.video.sources import Source

_ENCODER = "libvpx-vp9"


def write_cutouts(run: StoredRun, source: Source, folder: Path) -> None:
    """Each object on its own as PNGs with alpha: ``NUMBER_NAME/FRAME.png``, of the frame's size.

    Alpha is 255 on the object and 0 elsewhere, where the pixels are black.
    """
    for each in run.objects:
        (folder / file_name(each)).mkdir()
    for record, frame in run.frames_of(source):
        for each in run.objects:
            cut = cut_out(frame.image, object_mask(record, each.number))
            _, data = cv2.imencode(".png", cv2.cvtColor(cut, cv2.COLOR_RGBA2BGRA))
            (folder / file_name(each) / f"{frame.stem}.png").write_bytes(data.tobytes())


def write_cutout_videos(run: StoredRun, source: Source, folder: Path) -> None:
    """Each object on its own as ``NUMBER_NAME.webm``: VP9 with alpha, which browsers play.

    Raises InputError if FFmpeg has no such encoder.
    """
    if _ENCODER not in av.codec.codecs_available:
        raise InputError(f"the FFmpeg of PyAV has no {_ENCODER} encoder: export cutouts instead")
    with contextlib.ExitStack() as stack:
        videos = {
            each.number: stack.enter_context(
                _AlphaVideo(folder / f"{file_name(each)}.webm", source)
            )
            for each in run.objects
        }
        for record, frame in run.frames_of(source):
            for number, video in videos.items():
                video.write(record.number, cut_out(frame.image, object_mask(record, number)))


def write_overlay(run: StoredRun, source: Source, path: Path) -> None:
    """The video with masks, numbers and a legend of the names, as `hqtrack run --overlay`."""
    names = {each.number: each.name for each in run.objects}
    with OverlayVideo(path, source.rate, names) as video:
        for record, frame in run.frames_of(source):
            numbers = [found.number for found in record.objects]
            masks = label_masks(label_map(record), numbers)
            video.write(frame, masks, numbers)


def cut_out(image: Image, mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The image with the mask as alpha, [H,W,4]."""
    alpha = mask.astype(np.uint8) * np.uint8(255)
    return np.dstack([image * mask[..., None], alpha])


def file_name(each: Numbered) -> str:
    """Number and name as a name for files, which any system can have."""
    words = re.sub(r"[^\w-]+", "_", each.name).strip("_")[:60]
    return f"{each.number:03d}" if words in ("", str(each.number)) else f"{each.number:03d}_{words}"


class _AlphaVideo:
    """Writes pictures [H,W,4] to a video with the timing of its source; a context manager."""

    def __init__(self, path: Path, source: Source) -> None:
        self._rate = source.rate
        self._container = av.open(path, "w")
        self._stream: VideoStream | None = None
        self._first = 0

    def write(self, number: int, picture: NDArray[np.uint8]) -> None:
        picture = even(picture)
        if self._stream is None:
            self._first = number
            self._stream = self._start(picture)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgba")
        frame = frame.reformat(format="yuva420p")
        frame.pts = number - self._first
        frame.time_base = 1 / self._rate
        self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> "_AlphaVideo":
        return self

    def __exit__(self, *error: object) -> None:
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def _start(self, picture: NDArray[np.uint8]) -> VideoStream:
        options = {
            "crf": "24",
            "b:v": "0",
            "deadline": "good",
            "cpu-used": "4",
            "auto-alt-ref": "0",
        }
        stream = self._container.add_stream(_ENCODER, rate=self._rate, options=options)
        if not isinstance(stream, VideoStream):
            raise TypeError(f"{_ENCODER} is not a video codec")
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuva420p"
        stream.time_base = stream.codec_context.time_base = 1 / self._rate
        stream.metadata["alpha_mode"] = "1"
        return stream
