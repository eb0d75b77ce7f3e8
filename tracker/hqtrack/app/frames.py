"""Any frame of a video at any time, in whatever order a person looks at them."""

import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator

import av

from hqtrack.errors import InputError
from hqtrack.types import Image
from hqtrack.video.images import read_image
from hqtrack.video.packets import find_pictures
from hqtrack.video.sources import Images, Source
from hqtrack.video.streams import EncodedVideo, Frame, image_of

_KEPT = 12
_KEPT_BYTES = 48 * 2**20
"""So many frames, and bytes of them, stay decoded; one frame in any case."""

_NEAR = 12
"""A frame of a video so soon after the last one is decoded from there on."""


class Frames:
    """The frames of a source by their numbers, counted from 1; for several threads.

    A frame soon after the last one that was read is decoded from there on; any other of a video
    from the last key frame before it. Memory does not grow with the video.
    """

    def __init__(self, source: Source) -> None:
        """Reads the times of all frames of a video file, without decoding them.

        Raises InputError for a live source, which has no frames to come back to.
        """
        if source.live:
            raise InputError(f"{source.address} is live: record it to a file first")
        self.source = source
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Image] = OrderedDict()
        self._times = _frame_times(source.address) if isinstance(source, EncodedVideo) else []
        self._ahead: Iterator[Frame] | None = None
        self._next = 1
        self.count = len(self._times) or source.total or sum(1 for _ in source.read())

    def image(self, number: int) -> Image:
        """Frame ``number`` [H,W,3], read-only; the same array again while it is kept.

        Raises InputError if there is no such frame, or if it cannot be decoded.
        """
        if not 1 <= number <= self.count:
            raise InputError(f"there is no frame {number}: the video has {self.count}")
        with self._lock:
            if number not in self._kept:
                self._kept[number] = _constant(self._read(number))
            self._kept.move_to_end(number)
            image = self._kept[number]
            most = max(1, min(_KEPT, _KEPT_BYTES // image.nbytes))
            while len(self._kept) > most:
                self._kept.popitem(last=False)
            return image

    def _read(self, number: int) -> Image:
        if isinstance(self.source, Images):
            return read_image(self.source.paths[number - 1])
        near = 0 <= number - self._next < _NEAR
        if self._ahead is None or not near:
            self._ahead = self._from(number)
        for frame in self._ahead:
            self._next = frame.number + 1
            if frame.number >= number:
                break
        else:
            self._ahead = None
        if self._ahead is None or frame.number != number:
            # it is damaged: the reader of the whole video knows what to show
            self._ahead = self.source.read(number)
            frame = next(self._ahead)
            self._next = frame.number + 1
        return frame.image

    def _from(self, number: int) -> Iterator[Frame]:
        if self._times:
            return _decode_from(self.source.address, self._times, number)
        return self.source.read(number)


def _constant(image: Image) -> Image:
    """The image as an array of its own that cannot be written to."""
    if image.base is not None:
        image = image.copy()
    image.flags.writeable = False
    return image


def _frame_times(address: str) -> list[int]:
    """The presentation times of all frames in the units of the stream, ascending.

    Empty if the file does not tell them all, or not different ones.
    """
    with av.open(address) as container:
        stream = find_pictures(container)
        if stream is None:
            return []
        # not the packets: together they are the whole file
        found = [packet.pts for packet in container.demux(stream) if packet.size]
    times = sorted(time for time in found if time is not None)
    return times if len(set(times)) == len(found) else []


def _decode_from(address: str, times: list[int], number: int) -> Iterator[Frame]:
    """The frames of a video from ``number`` on, decoded from the key frame before it."""
    with av.open(address) as container:
        stream = find_pictures(container)
        if stream is None:
            return
        stream.thread_type = "AUTO"
        container.seek(times[number - 1], stream=stream, backward=True)
        try:
            for frame in container.decode(stream):
                place = bisect_left(times, frame.pts or 0)
                if place + 1 >= number:
                    yield Frame(place + 1, f"{place + 1:08d}", image_of(frame))
        except av.InvalidDataError:
            return
