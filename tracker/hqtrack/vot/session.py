"""A TraX session: replies to a client's requests with a tracker's masks."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hqtrack import environment
from hqtrack.errors import InputError
from hqtrack.files import Journal
from hqtrack.joining import JoinedVideo
from hqtrack.regions import MAX_RUNS, Region, to_region
from hqtrack.stages import Stage, StageClock, stage, timing
from hqtrack.tracker import Tracked, Tracker
from hqtrack.types import Image, Masks
from hqtrack.video import read_image
from hqtrack.vot.endings import NO_CLIENT
from hqtrack.vot.messages import ProtocolError
from hqtrack.vot.provenance import Provenance, provenance, sign
from hqtrack.vot.region_text import format_region, parse_region
from hqtrack.vot.server import Answer, Asked, Request, TraxServer
from hqtrack.vot.trace import Trace

MAX_MASKS_BYTES = 1 << 32
"""What the masks of all objects on one frame may take, a byte per pixel."""

Answered: TypeAlias = Callable[[NDArray[np.bool_]], None]
"""Called after each reply, with the objects [N] that were tracked, not given."""

_SILENCE_SECONDS = 60.0


class Server(Protocol):
    """What is used of ``TraxServer``."""

    def wait(self) -> Request:
        """The next request."""

    def answer(self, objects: Sequence[Answer]) -> None:
        """Answer a request, with every object so far."""


def serve(
    server: Server,
    tracker: Tracker,
    answered: Answered = lambda tracked: None,
    started: Callable[[Path], None] = lambda image: None,
) -> None:
    """Reply to requests until the client quits.

    This calls ``started`` for each new video, with its first image. Raises InputError if a request
    cannot be used, ValueError if the tracker returns something else than masks and confidences,
    and whatever ``server`` and ``tracker`` raise.
    """
    video: JoinedVideo | None = None
    count = 0
    while (request := server.wait()).image is not None:
        path = request.image
        count = 0 if request.asked == Asked.INITIALIZE else count
        with stage(Stage.READ):
            image, masks = _read(path, request.regions, count)
        with stage(Stage.SELECT):
            if request.asked == Asked.INITIALIZE:
                started(path)
                video = JoinedVideo()
            elif video is None:
                raise ProtocolError("the client sent a frame before it initialized a video")
            try:
                tracked = video.track(tracker, image, masks)
            except InputError as error:
                raise InputError(f"{path}: {error}") from error
        count += len(masks)
        with stage(Stage.ANSWER):
            server.answer(_answers(tracked, (count, *image.shape[:2])))
        answered(video.tracked)


def _read(path: Path, regions: Sequence[bytes], before: int) -> tuple[Image, Masks]:
    """An image and the masks [M,H,W] of the objects that come after ``before`` others on it."""
    given = [parse_region(text, before + index) for index, text in enumerate(regions)]
    image = read_image(path)
    height, width = image.shape[:2]
    if (total := (before + len(given)) * height * width) > MAX_MASKS_BYTES:
        raise InputError(
            f"the masks of {before + len(given)} objects of {width}x{height} need "
            f"{total / 2**30:.1f} GiB, more than {MAX_MASKS_BYTES >> 30}: track fewer at a time"
        )
    masks = np.zeros((len(given), height, width), np.bool_)
    for mask, region in zip(masks, given, strict=True):
        mask[:] = region.place(height, width)
    return image, masks


def _answers(tracked: Tracked, shape: tuple[int, ...]) -> list[Answer]:
    """The objects as they are answered; raises ValueError unless the masks are [N,H,W] = ``shape``
    and each confidence is one.
    """
    masks, confidence = tracked
    if masks.shape != shape or masks.dtype != np.bool_ or confidence.shape != shape[:1]:
        raise ValueError(
            f"the tracker answered masks {masks.dtype}{list(masks.shape)} and confidences "
            f"{list(confidence.shape)} for {shape[0]} objects of {shape[2]}x{shape[1]}"
        )
    wrong = np.flatnonzero(~((confidence >= 0) & (confidence <= 1)))
    if len(wrong):
        raise ValueError(
            f"the tracker's confidence of object {wrong[0]} is {confidence[wrong[0]]}, not in "
            "[0, 1]: its weights or its device are broken"
        )
    return [
        Answer(format_region(_region(index, mask)), float(confidence[index]))
        for index, mask in enumerate(masks)
    ]


def _region(index: int, mask: NDArray[np.bool_]) -> Region:
    """The region of object ``index``; prints how many pixels of its mask had to be dropped."""
    region = to_region(mask)
    if dropped := int(np.count_nonzero(mask) - np.count_nonzero(region.pixels)):
        print(
            f"hqtrack.vot: object {index}: dropped {dropped} of {np.count_nonzero(mask)} pixels, "
            f"the smallest specks: results allow no more than {MAX_RUNS} runs per mask",
            file=sys.stderr,
        )
    return region


def serve_client(server: TraxServer, name: str, build: Callable[[str], Tracker]) -> int:
    """Build the tracker of this name with ``build``, greet the client and serve it.

    Returns the exit status: 0 if the client ended the session, 2 if there is no client. Raises
    ClientGone if the client disconnects, and every error of ``build`` and ``serve``.
    """
    tracker = build(name)
    made_by = provenance(name, tracker)
    server.greet()
    if "TRAX" not in os.environ and not server.speaks(_SILENCE_SECONDS):
        print(NO_CLIENT, end="", file=sys.stderr)
        return 2
    with _tracing(tracker) as answered:
        serve(server, tracker, answered, partial(_sign, made_by))
    return 0


def _sign(made_by: Provenance, image: Path) -> None:
    """Write the tracker's provenance into the workspace; a failure does not end the session."""
    try:
        sign(made_by, image)
    except OSError as error:
        print(f"hqtrack.vot: cannot write the provenance of this result: {error}", file=sys.stderr)


@contextlib.contextmanager
def _tracing(tracker: Tracker) -> Iterator[Answered]:
    """Time what happens inside for a trace, if the variable HQTRACK_TRACE names a file for one."""
    path = environment.read().trace
    if path is None:
        yield lambda tracked: None
        return
    clock = StageClock(_wait_for_device)
    with Journal(path) as journal, timing(clock):
        yield Trace(journal, tracker, clock).answered


def _wait_for_device() -> None:
    # a tracker that uses a device has imported torch; other trackers should not import it
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
