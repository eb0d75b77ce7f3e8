"""The process that the VOT toolkit starts: it answers TraX requests with a tracker's masks.

``python -m hqtrack.vot`` speaks TraX on its standard input and output; trackers.ini says how the
toolkit starts it. The tracker is built before the toolkit is greeted, because its clock runs from
then on.
"""

import argparse
import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import trax  # type: ignore[import-untyped]
from numpy.typing import NDArray

from hqtrack.baseline import FirstMask
from hqtrack.errors import InputError
from hqtrack.isolation import Streams, can_have_client, isolate
from hqtrack.masks import check_next_image
from hqtrack.regions import MAX_RUNS, Region, to_mask, to_region
from hqtrack.tracker import Tracked, Tracker
from hqtrack.types import Image, Masks, Scores
from hqtrack.video import read_image

PRESETS = {"full": "HQTrack", "light": "HQTrackLight", "first-mask": "FirstMask"}
"""The tracker behind each preset."""

_SILENCE_SECONDS = 60.0
_REFUSAL_SECONDS = 5.0

_NO_CLIENT = """\
hqtrack.vot talks to the VOT toolkit over standard input and output, and nobody is there.
Let the toolkit start it:   vot evaluate --workspace WORKSPACE HQTrackLight
or track without toolkit:   hqtrack run --help
"""


class Video:
    """One video of a session: the objects of the client, and which of them the tracker knows.

    The tracker takes no empty first mask; such an object stays in the session, reported empty.
    """

    def __init__(self, tracker: Tracker, image: Image, masks: Masks) -> None:
        """Start with the masks [N,H,W] of the first image."""
        self._tracker = tracker
        self._size = image.shape[:2]
        self._known = np.zeros(0, np.bool_)
        self._take_in(image, masks)

    def track(self, image: Image, new: Masks) -> Tracked:
        """Follow the objects to the next image, and take in new ones [M,H,W] on it.

        Where a new object lies over an old one, the new one wins. Raises InputError for an image
        of another size.
        """
        check_next_image(image, self._size)
        masks = np.zeros((len(self._known), *self._size), np.bool_)
        confidence = np.zeros(len(self._known), np.float32)
        if self._known.any():
            masks[self._known], confidence[self._known] = self._tracker.track(image)
        given = self._take_in(image, new)
        masks &= ~new.any(axis=0)
        return Tracked(np.concatenate([masks, new]), np.concatenate([confidence, given]))

    def first_answer(self, masks: Masks) -> Tracked:
        """What is answered to the first image: the masks as they came."""
        return Tracked(masks, self._known.astype(np.float32))

    def _take_in(self, image: Image, masks: Masks) -> Scores:
        seen = masks.any(axis=(1, 2))
        if seen.any():
            add = self._tracker.add_objects if self._known.any() else self._tracker.initialize
            add(image, masks[seen])
        self._known = np.concatenate([self._known, seen])
        return np.asarray(seen, np.float32)


class Server(Protocol):
    """What is used of ``trax.Server``."""

    def wait(self) -> Any:
        """The next request: type, image, objects; raises trax.TraxException when broken."""

    def status(self, objects: list[Any]) -> Any:
        """Answer a request with one (region, properties) per object."""

    def quit(self, reason: str | None = None) -> None:
        """End the session."""


def serve(server: Server, tracker: Tracker, forward: Callable[[], None]) -> bool:
    """Answer requests until the client quits (True) or something goes wrong (False).

    What goes wrong is printed and told to the client as the reason for the end. ``forward`` is
    called before each message of ours, when other output may pass. Raises trax.TraxException when
    the client is gone or cannot be understood.
    """
    try:
        _answer_requests(server, tracker, forward)
        return True
    except (trax.TraxException, BrokenPipeError):
        raise
    except Exception as error:
        _report(error)
        forward()
        server.quit(_one_line(error))
        return False


def _answer_requests(server: Server, tracker: Tracker, forward: Callable[[], None]) -> None:
    video: Video | None = None
    while True:
        request = server.wait()
        if request.type == trax.TraxStatus.QUIT:
            return
        path = Path(request.image["color"].path())
        image = read_image(path)
        masks = _masks(request.objects or [], image)
        if request.type == trax.TraxStatus.INITIALIZE:
            video = Video(tracker, image, masks)
            answer = video.first_answer(masks)
        elif video is None:
            raise InputError("the client sent a frame before it initialized a video")
        else:
            answer = _track(video, image, masks, path)
        forward()
        server.status(_objects(answer))


def _track(video: Video, image: Image, new: Masks, path: Path) -> Tracked:
    """The answer to a frame; what is wrong with it is told with its path."""
    try:
        return video.track(image, new)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _masks(objects: list[Any], image: Image) -> Masks:
    """The masks [N,H,W] of TraX objects."""
    height, width = image.shape[:2]
    regions = [Region(region.array(), *region.offset()) for region, _ in objects]
    masks = [to_mask(region, height, width) for region in regions]
    return np.array(masks, np.bool_).reshape(-1, height, width)


def _objects(tracked: Tracked) -> list[Any]:
    """TraX objects: a region and the confidence for each."""
    regions = [_region(index, mask) for index, mask in enumerate(tracked.masks)]
    return [
        (trax.Mask.create(region.pixels, x=region.x, y=region.y), {"confidence": float(confidence)})
        for region, confidence in zip(regions, tracked.confidence, strict=True)
    ]


def _region(index: int, mask: NDArray[np.bool_]) -> Region:
    """The region of object ``index``; what had to be dropped from its mask is printed."""
    region = to_region(mask)
    if dropped := int(np.count_nonzero(mask) - np.count_nonzero(region.pixels)):
        print(
            f"hqtrack.vot: object {index}: {dropped} of {np.count_nonzero(mask)} pixels, the "
            f"smallest specks, are left out: results hold no more than {MAX_RUNS} runs per mask",
            file=sys.stderr,
        )
    return region


def _report(error: Exception) -> None:
    if isinstance(error, InputError):
        print(f"hqtrack.vot: {error}", file=sys.stderr)
    else:
        traceback.print_exception(error)


def _one_line(error: Exception) -> str:
    """The error as a reason that TraX can carry: one line, ASCII."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.encode("ascii", "replace").decode("ascii").replace('"', "'")


def _build(name: str) -> Tracker:
    if name == PRESETS["first-mask"]:
        # spares it the seconds that importing torch takes
        return FirstMask()
    # imported here because descriptors 1 and 2 have to be safe before anything prints
    from hqtrack.build import build_named

    return build_named(name)


def main(arguments: Sequence[str] | None = None, build: Callable[[str], Tracker] = _build) -> int:
    """Serve one client with the tracker of the preset, made by ``build`` from its name.

    Returns the exit status: 0 when the client ended the session or went away, 1 when something
    went wrong, 2 when there is no client.
    """
    preset = _preset(arguments, os.environ)
    if not can_have_client():
        print(_NO_CLIENT, end="", file=sys.stderr)
        return 2
    streams = isolate()
    try:
        if streams.client_gone():
            print(_NO_CLIENT, end="", file=sys.stderr)
            return 2
        return _serve_client(PRESETS[preset], build, streams)
    except Exception as error:
        _report(error)
        return 1
    finally:
        with contextlib.suppress(BrokenPipeError):
            streams.forward()


def _preset(arguments: Sequence[str] | None, environment: Mapping[str, str]) -> str:
    parser = argparse.ArgumentParser(prog="hqtrack.vot", description="The TraX tracker process.")
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        default=environment.get("HQTRACK_PRESET", "full"),
        help="which tracker answers (default: the environment variable HQTRACK_PRESET, or full)",
    )
    preset: str = parser.parse_args(arguments).preset
    if preset not in PRESETS:
        parser.error(f"HQTRACK_PRESET is {preset!r}: give one of {', '.join(PRESETS)}")
    return preset


def _serve_client(name: str, build: Callable[[str], Tracker], streams: Streams) -> int:
    try:
        tracker = build(name)
    except Exception as error:
        _report(error)
        streams.forward()
        _refuse(name, error, streams)
        return 1
    streams.forward()
    try:
        server = _greet(name)
        if "TRAX" not in os.environ and not streams.client_speaks(_SILENCE_SECONDS):
            print(_NO_CLIENT, end="", file=sys.stderr)
            return 2
        return 0 if serve(server, tracker, streams.forward) else 1
    except (trax.TraxException, BrokenPipeError) as error:
        if not streams.client_gone():
            print(
                f"hqtrack.vot: cannot understand the TraX client: {error} "
                "(paths of images must be ASCII)",
                file=sys.stderr,
            )
            return 1
        print("hqtrack.vot: the TraX client is gone", file=sys.stderr)
        return 0


def _greet(name: str) -> Any:
    return trax.Server(
        [trax.Region.MASK], [trax.Image.PATH], ["color"], tracker_name=name, multiobject=True
    )


def _refuse(name: str, error: Exception, streams: Streams) -> None:
    """Tell the client why there is no tracker.

    It is greeted first: of a tracker that ends before, the toolkit shows nothing.
    """
    with contextlib.suppress(trax.TraxException, BrokenPipeError):
        server = _greet(name)
        if streams.client_speaks(_REFUSAL_SECONDS):
            server.wait()
            server.quit(_one_line(error))


if __name__ == "__main__":
    sys.exit(main())
