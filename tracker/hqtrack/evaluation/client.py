"""A TraX client: drives a tracker process as the VOT toolkit does."""

import os
import shlex
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import trax  # type: ignore[import-untyped]
from trax.client import Client as TraxClient  # type: ignore[import-untyped]
from trax.image import FileImage  # type: ignore[import-untyped]
from vot.tracker import Registry  # type: ignore[import-untyped]

from hqtrack.errors import InputError, MissingFileError
from hqtrack.regions import from_trax, to_mask, to_region
from hqtrack.types import Masks

_QUIT_SECONDS = 20.0
_ATTACH_SECONDS = 3600


class Disagreement(Exception):
    """The tracker violated the protocol, or did not reply."""


class Answer(NamedTuple):
    """A reply: masks [N,H,W], confidence [N], and the seconds from request to reply."""

    masks: Masks
    confidence: list[float]
    seconds: float


class Launch(NamedTuple):
    """The command and environment with which the toolkit starts a tracker."""

    command: str
    environment: dict[str, str]


def find_launch(registry: Path, name: str) -> Launch:
    """The command and environment that the toolkit reads from a section of trackers.ini.

    Raises MissingFileError if there is no such file, InputError if it has no such section.
    """
    if not registry.is_file():
        raise MissingFileError(f"there is no file {registry}: install hqtrack again")
    trackers = Registry([str(registry)], root=str(registry.parent))
    if name not in trackers:
        known = ", ".join(trackers.identifiers())
        raise InputError(f"{registry} has no tracker {name!r}: choose one of {known}")
    runtime = trackers[name].runtime()
    return Launch(runtime._command, runtime._envvars)


class Client:
    """A session with a tracker that has said hello.

    The constructor and ``ask`` raise Disagreement if the tracker violates the protocol.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._size: tuple[int, int] | None = None
        self._objects = 0
        lacking = [
            what
            for what, there in (
                ("masks", trax.Region.MASK in client.region_formats),
                ("images by path", trax.Image.PATH in client.image_formats),
                ("several objects", client.get("multiobject")),
                ("the channel color", list(client.channels) == ["color"]),
            )
            if not there
        ]
        if lacking:
            raise Disagreement(f"the tracker's hello lacks {', '.join(lacking)}")

    @property
    def hello(self) -> str:
        """The tracker's own description from its hello."""
        client = self._client
        return (
            f"{client.tracker_name}: regions {', '.join(client.region_formats)}; images "
            f"{', '.join(client.image_formats)}; channels {', '.join(client.channels)}; "
            f"several objects: {'yes' if client.get('multiobject') else 'no'}"
        )

    def ask(self, image: Path, masks: Masks) -> Answer:
        """Send the next image with masks [M,H,W] of new objects; the first starts a video."""
        channels = {"color": FileImage.create(str(image))}
        regions = [to_region(mask) for mask in masks]
        objects: list[Any] = [(trax.Mask.create(r.pixels, x=r.x, y=r.y), {}) for r in regions]
        self._objects += len(masks)
        try:
            if self._size is None:
                self._size = masks.shape[1:]
                status, seconds = self._client.initialize(channels, objects, {})
            else:
                status, seconds = self._client.frame(channels, {}, objects)
        except trax.TraxException as error:
            raise Disagreement(str(error)) from error
        return _checked(status, seconds, self._objects, *self._size)


def _checked(status: Any, seconds: float, objects: int, height: int, width: int) -> Answer:
    """Check the reply to a frame of this size with this number of objects."""
    if len(status) != objects:
        raise Disagreement(f"the reply has {len(status)} objects, the video has {objects}")
    masks = np.zeros((objects, height, width), np.bool_)
    confidences = []
    for index, (region, properties) in enumerate(status):
        if region.type != trax.Region.MASK:
            raise Disagreement(f"object {index} in the reply is {region.type}, not a mask")
        (x, y), (columns, rows) = region.offset(), region.size()
        if x < -1 or y < 0 or x + columns > width or y + rows > height:
            raise Disagreement(
                f"the mask of object {index} is {columns}x{rows} at ({x}, {y}) and exceeds the "
                f"frame, which is {width}x{height}"
            )
        masks[index] = to_mask(from_trax(region), height, width)
        confidences.append(_confidence(index, dict(properties.items())))
    return Answer(masks, confidences, seconds)


def _confidence(index: int, properties: dict[str, str]) -> float:
    text = properties.get("confidence", "nothing")
    try:
        confidence = float(text)
    except ValueError:
        confidence = -1.0
    if not 0 <= confidence <= 1:
        raise Disagreement(f"object {index} has confidence {text}: it should be from 0 to 1")
    return confidence


@contextmanager
def started(launch: Launch, log: Callable[[str], None]) -> Iterator[Client]:
    """A session with a tracker process, started as the toolkit does; ends the process afterwards.

    Raises Disagreement if the process does not exit in time, or exits with another status than 0.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            shlex.split(launch.command),
            cwd=folder,
            env={**os.environ, **launch.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        ) as process,
    ):
        pipes = [pipe.fileno() for pipe in (process.stdin, process.stdout) if pipe is not None]
        try:
            with _connected(tuple(pipes), log) as client:
                yield client
            if status := process.wait(_QUIT_SECONDS):
                raise Disagreement(f"the process ended with status {status}")
        except subprocess.TimeoutExpired:
            seconds = f"{_QUIT_SECONDS:.0f} s"
            raise Disagreement(
                f"the process still runs {seconds} after the session's end"
            ) from None
        finally:
            process.kill()


@contextmanager
def attached(port: int, log: Callable[[str], None], say: Callable[[], None]) -> Iterator[Client]:
    """A session with a tracker that a person starts, with TRAX_SOCKET set to this local port.

    This calls ``say`` when the person may start it. Raises InputError if the port is in use.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(
                f"cannot listen on port {port}: {error.strerror}; give another"
            ) from error
        listener.listen(1)
        say()
        with _connected(listener.fileno(), log, timeout=_ATTACH_SECONDS) as client:
            yield client


@contextmanager
def _connected(stream: Any, log: Callable[[str], None], **options: int) -> Iterator[Client]:
    try:
        client = TraxClient(stream=stream, log=log, **options)
    except trax.TraxException as error:
        raise Disagreement(f"the tracker did not say hello: {error}") from error
    try:
        yield Client(client)
    finally:
        # not in the finalizer, because libtrax would call a log function that no longer exists
        client.quit()
