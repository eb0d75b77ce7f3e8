"""A TraX session: replies to a client's requests with a tracker's masks.

Only this module and the client side, ``hqtrack.evaluation.client``, import trax.
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import trax  # type: ignore[import-untyped]
from numpy.typing import NDArray

from hqtrack import environment
from hqtrack.errors import InputError, one_line
from hqtrack.files import Journal
from hqtrack.joining import JoinedVideo
from hqtrack.regions import MAX_RUNS, Region, from_trax, to_masks, to_region
from hqtrack.stages import Stage, StageClock, stage, timing
from hqtrack.tracker import Tracked, Tracker
from hqtrack.types import Image, Masks
from hqtrack.video import read_image
from hqtrack.vot.isolation import Channel
from hqtrack.vot.provenance import Provenance, provenance, sign
from hqtrack.vot.trace import Trace

NO_CLIENT = """\
hqtrack.vot talks to the VOT toolkit over standard input and output, but no toolkit is connected.
Let the toolkit start it:      vot evaluate --workspace WORKSPACE HQTrackLight
or debug it by hand:           hqtrack debug --help
or track without the toolkit:  hqtrack run --help
"""
"""The message to a person who starts a tracker process by hand."""

Answered: TypeAlias = Callable[[NDArray[np.bool_]], None]
"""Called after each reply, with the objects [N] that were tracked, not given."""

_SILENCE_SECONDS = 60.0
_REFUSAL_SECONDS = 5.0


class Server(Protocol):
    """The part of ``trax.Server`` that a session uses."""

    def wait(self) -> Any:
        """The next request: type, image, objects; raises trax.TraxException if it is broken."""

    def status(self, objects: list[Any]) -> Any:
        """Reply to a request with one (region, properties) per object."""

    def quit(self, reason: str | None = None) -> None:
        """End the session."""


def serve(
    server: Server,
    tracker: Tracker,
    forward: Callable[[], None],
    answered: Answered = lambda tracked: None,
    started: Callable[[Path], None] = lambda image: None,
) -> bool:
    """Reply to requests until the client quits (True) or an error occurs (False).

    This prints an error and sends it to the client as the reason for the end. It calls ``forward``
    before each of our messages, when other output may pass, and ``started`` for each new video,
    with its first image. Raises trax.TraxException if the client has disconnected or sends
    something unintelligible.
    """
    try:
        _answer_requests(server, tracker, forward, answered, started)
        return True
    except (trax.TraxException, BrokenPipeError):
        raise
    except Exception as error:
        report(error)
        forward()
        server.quit(_reason(error))
        return False


def _answer_requests(
    server: Server,
    tracker: Tracker,
    forward: Callable[[], None],
    answered: Answered,
    started: Callable[[Path], None],
) -> None:
    video: JoinedVideo | None = None
    while True:
        request = server.wait()
        if request.type == trax.TraxStatus.QUIT:
            return
        path = Path(request.image["color"].path())
        with stage(Stage.READ):
            image = read_image(path)
            masks = _masks(request.objects or [], image)
        with stage(Stage.SELECT):
            if request.type == trax.TraxStatus.INITIALIZE:
                started(path)
                video = JoinedVideo()
            elif video is None:
                raise InputError("the client sent a frame before it initialized a video")
            try:
                answer = video.track(tracker, image, masks)
            except InputError as error:
                raise InputError(f"{path}: {error}") from error
        forward()
        with stage(Stage.ANSWER):
            server.status(_objects(answer))
        answered(video.tracked)


def _masks(objects: list[Any], image: Image) -> Masks:
    """The masks [N,H,W] of TraX objects."""
    height, width = image.shape[:2]
    return to_masks([from_trax(region) for region, _ in objects], height, width)


def _objects(tracked: Tracked) -> list[Any]:
    """TraX objects: a region and the confidence of each."""
    regions = [_region(index, mask) for index, mask in enumerate(tracked.masks)]
    return [
        (trax.Mask.create(region.pixels, x=region.x, y=region.y), {"confidence": float(confidence)})
        for region, confidence in zip(regions, tracked.confidence, strict=True)
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


def report(error: Exception) -> None:
    """Print an error, with a traceback only if it is a bug."""
    if isinstance(error, InputError):
        print(f"hqtrack.vot: {error}", file=sys.stderr)
    else:
        traceback.print_exception(error)


def _reason(error: Exception) -> str:
    """The error as one line of ASCII, which TraX can transmit as a reason."""
    return one_line(error).encode("ascii", "replace").decode("ascii").replace('"', "'")


def serve_client(name: str, build: Callable[[str], Tracker], channel: Channel) -> int:
    """Build the tracker of this name with ``build``, greet the client and serve it.

    If the tracker cannot be built, this sends the client the reason. Returns the exit status: 0 if
    the client ended the session or disconnected, 1 after an error, 2 if there is no client.
    """
    try:
        tracker = build(name)
        made_by = provenance(name, tracker)
    except Exception as error:
        report(error)
        channel.forward()
        _refuse(name, error, channel)
        return 1
    channel.forward()
    try:
        server = _greet(name)
        if "TRAX" not in os.environ and not channel.client_speaks(_SILENCE_SECONDS):
            print(NO_CLIENT, end="", file=sys.stderr)
            return 2
        with _tracing(tracker) as answered:
            done = serve(server, tracker, channel.forward, answered, partial(_sign, made_by))
            return 0 if done else 1
    except (trax.TraxException, BrokenPipeError) as error:
        if not channel.client_gone():
            print(
                f"hqtrack.vot: cannot understand the TraX client: {error} "
                "(paths of images must be ASCII)",
                file=sys.stderr,
            )
            return 1
        print("hqtrack.vot: the TraX client has disconnected", file=sys.stderr)
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


def _greet(name: str) -> Any:
    return trax.Server(
        [trax.Region.MASK], [trax.Image.PATH], ["color"], tracker_name=name, multiobject=True
    )


def _refuse(name: str, error: Exception, channel: Channel) -> None:
    """Send the client the reason why there is no tracker.

    This greets the client first, because the toolkit shows nothing about a tracker that ends before
    the greeting.
    """
    with contextlib.suppress(trax.TraxException, BrokenPipeError):
        server = _greet(name)
        if channel.client_speaks(_REFUSAL_SECONDS):
            server.wait()
            server.quit(_reason(error))
