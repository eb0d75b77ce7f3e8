"""Decodes a video packet by packet, so that one damaged picture does not end it."""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream


class Decoded(NamedTuple):
    """A picture of a video and its second, if known; None for a picture that is damaged."""

    picture: VideoFrame | None
    time: Fraction | None


def find_pictures(container: InputContainer) -> VideoStream | None:
    """The first stream of moving pictures, not the cover of a song; None without one."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    return None


def decode(container: InputContainer, stream: VideoStream, tolerant: bool) -> Iterator[Decoded]:
    """The pictures in the order in which they are shown.

    With ``tolerant``, a picture that cannot be decoded is None at its place; otherwise this raises
    av.InvalidDataError. Raises av.FFmpegError where the file itself cannot be read.
    """
    for packet in container.demux(stream):
        try:
            pictures = packet.decode()
        except av.InvalidDataError:
            if not tolerant:
                raise
            yield Decoded(None, _time(packet.pts, packet.time_base))
            continue
        for picture in pictures:
            if isinstance(picture, VideoFrame):
                yield Decoded(picture, _time(picture.pts, picture.time_base))


def _time(pts: int | None, base: Fraction | None) -> Fraction | None:
    return None if pts is None or not base else pts * base
