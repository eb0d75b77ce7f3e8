"""The tracker's side of TraX: says hello, takes requests, sends answers; only the standard library.

The tracker process has its own because that of libtrax (vot-trax 4.0.2) waits for ever, at full
speed, once the client is gone between an object and its image, sets memory aside by what a message
claims before anybody can look at it, and takes bytes above 127 for the end.
"""

import os
import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from hqtrack.vot.messages import Kind, Message, ProtocolError, format_message, parse_message
from hqtrack.vot.wire import MAX_REQUEST_BYTES, ClientGone, Wire

_SCHEME = re.compile(rb"([a-z+.-]{1,15}):")
_REASON_LENGTH = 1000


class Asked(StrEnum):
    """What a client asks for: to start a video, to track one further, to end."""

    INITIALIZE = "initialize"
    FRAME = "frame"
    QUIT = "quit"


class Request(NamedTuple):
    """What the client wants.

    ``image`` is the path of the frame, None when it quits. ``regions`` are those of new objects on
    that frame, as they were sent (``hqtrack.vot.region_text``).
    """

    asked: Asked
    image: Path | None = None
    regions: Sequence[bytes] = ()


class Answer(NamedTuple):
    """An object in an answer: its region (``hqtrack.vot.region_text``) and its confidence."""

    region: str
    confidence: float


class TraxServer:
    """A session with one client.

    ``forward`` is called before each message of ours, when other output may pass.
    """

    def __init__(self, wire: Wire, name: str, forward: Callable[[], None]) -> None:
        self._wire = wire
        self._name = name
        self._forward = forward
        self._objects = 0
        self.greeted = False
        self._ended = False

    def greet(self) -> None:
        """Say hello, once. Raises ClientGone."""
        if self.greeted:
            return
        self.greeted = True
        properties = {
            "trax.name": self._name,
            "trax.family": "",
            "trax.multiobject": "1",
            "trax.image": "path;",
            "trax.region": "mask;",
            "trax.description": "",
            "trax.version": "4",
            "trax.channels": "color;",
        }
        self._send(format_message(Kind.HELLO, (), properties))

    def wait(self) -> Request:
        """The next request.

        Raises ClientGone where the client hangs up without one, ProtocolError where what it sends
        cannot be understood.
        """
        regions: list[bytes] = []
        reset = False
        room = MAX_REQUEST_BYTES
        while True:
            message = self._next(room)
            room -= sum(map(len, message.arguments))
            if message.kind == Kind.QUIT:
                self._expect(message, 0)
                self._ended = True
                return Request(Asked.QUIT)
            if message.kind == Kind.INITIALIZE:
                if message.arguments:
                    self._expect(message, 1)
                    regions.append(message.arguments[0])
                else:
                    self._objects, reset = 0, True
                    regions.clear()
            elif message.kind == Kind.FRAME:
                self._expect(message, 1)
                break
            else:
                raise ProtocolError(f"the client sent {message.kind!r}, which is for trackers")
        if reset and not regions:
            raise ProtocolError("the client started a video without an object")
        begins = bool(regions) and self._objects == 0
        self._objects += len(regions)
        path = image_path(message.arguments[0])
        return Request(Asked.INITIALIZE if begins else Asked.FRAME, path, regions)

    def answer(self, objects: Sequence[Answer]) -> None:
        """Answer a request, with every object so far in the order in which they came.

        Raises ClientGone, and ValueError for another number of objects.
        """
        if len(objects) != self._objects:
            raise ValueError(f"{len(objects)} objects are answered where {self._objects} are known")
        self._send(b"".join(map(_state, objects)))

    def quit(self, reason: str) -> None:
        """End the session and say why, if the client can still be told.

        Raises nothing: who is gone needs no reason.
        """
        if self._ended or self._wire.amid:  # who interrupts a message begins none inside it
            return
        self._ended = True
        text = " ".join(reason.split())[:_REASON_LENGTH].replace('"', "'").replace("\0", "?")
        plain = text.encode("ascii", "replace").decode("ascii")
        try:
            self._send(format_message(Kind.QUIT, (), {"trax.reason": plain}))
        except ClientGone:
            return

    def speaks(self, timeout: float) -> bool:
        """Whether the client sends something, or hangs up, within so many seconds."""
        return self._wire.speaks(timeout)

    def _send(self, data: bytes) -> None:
        self._forward()
        self._wire.write(data)

    def _next(self, limit: int) -> Message:
        """The next message; other lines are left out."""
        while True:
            message = parse_message(self._wire.read_line(limit))
            if message is not None:
                return message

    def _expect(self, message: Message, count: int) -> None:
        if len(message.arguments) != count:
            raise ProtocolError(
                f"the client sent {message.kind!r} with {len(message.arguments)} arguments "
                f"instead of {count}"
            )


def _state(answer: Answer) -> bytes:
    return format_message(Kind.STATE, (answer.region,), {"confidence": str(answer.confidence)})


def image_path(argument: bytes) -> Path:
    """The path of an image as TraX names it: ``file:///folder/name``, or the path alone.

    It may hold any bytes that a path can have. Raises ProtocolError where it is no path.
    """
    path = argument
    if scheme := _SCHEME.match(argument):
        if scheme[1] != b"file":
            raise ProtocolError(
                f"the client sent an image as {scheme[1].decode('ascii')!r}: this tracker takes "
                "paths of files only, as its hello says"
            )
        path = argument[scheme.end() :].removeprefix(b"//")
    if not path or b"\0" in path:
        raise ProtocolError("the client sent an image with an empty path or one with a NUL in it")
    return Path(os.fsdecode(path))
