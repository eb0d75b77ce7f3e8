"""What a process and the resident process to which it hands a client say to each other.

The resident process says READY. The process sends an Offer with the client's three descriptors, and
not before: in the queue of a process that is stopped they would stay open. The resident process
replies BUSY, or TAKEN with its process id. The process says GO, since it may have stopped waiting.
From then on the resident process sends ALIVE every second, GREETS before it says hello to the
client, and DONE with the exit status. Every message has to come within a time; only the standard
library is used.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple

from hqtrack.environment import OF_A_SESSION

READY, BUSY, TAKEN, GO = "ready", "busy", "taken", "go"
ALIVE, GREETS, DONE = "alive", "greets", "done"

_WORDS = {READY, BUSY, TAKEN, GO, ALIVE, GREETS, DONE}
_MAX_LINE_BYTES = 64
_MAX_OFFER_BYTES = 1 << 16
_SEND_SECONDS = 5.0


class Garbled(Exception):
    """The other side sent something that is no message."""


class Message(NamedTuple):
    """One of the words above, and a number: a process id, an exit status, or 0."""

    word: str
    number: int


class Offer(NamedTuple):
    """A client: the session's environment variables, and the folder of relative paths."""

    environment: dict[str, str | None]
    folder: str

    def encode(self) -> bytes:
        """The offer as a line."""
        return json.dumps([self.environment, self.folder]).encode("ascii") + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> "Offer":
        """The offer in a line; raises Garbled if there is none."""
        try:
            environment, folder = json.loads(line)
        except (ValueError, TypeError, RecursionError) as error:
            raise Garbled("an offer that is no JSON of two values") from error
        if not isinstance(environment, dict) or not set(environment) <= set(OF_A_SESSION):
            raise Garbled("an offer with other variables than those of a session")
        texts = [folder, *(value for value in environment.values() if value is not None)]
        if any(not isinstance(text, str) or "\0" in text for text in texts):
            raise Garbled("an offer with values that are no text")
        return cls(environment, folder)


class Talk:
    """A connection on which messages come and go."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._received = b""

    def offer(self, offer: Offer, descriptors: Sequence[int]) -> None:
        """Send an offer with descriptors. Raises OSError, TimeoutError among them."""
        self.connection.settimeout(_SEND_SECONDS)
        line = offer.encode()
        sent = socket.send_fds(self.connection, [line], descriptors)
        self.connection.sendall(line[sent:])

    def send(self, word: str, number: int = 0) -> None:
        """Send a message. Raises OSError, TimeoutError among them."""
        self.connection.settimeout(_SEND_SECONDS)
        self.connection.sendall(f"{word} {number}\n".encode())

    def mention(self, word: str) -> None:
        """Send a message if the other side reads them; never waits, raises nothing."""
        with contextlib.suppress(OSError):
            self.connection.send(f"{word} 0\n".encode(), socket.MSG_DONTWAIT)

    def receive(self, seconds: float) -> Message | None:
        """The next message; None if the other side has disconnected.

        Raises TimeoutError if none comes within so many seconds, Garbled if it is no message.
        """
        deadline = time.monotonic() + seconds
        while b"\n" not in self._received:
            if len(self._received) > _MAX_LINE_BYTES:
                raise Garbled(repr(self._received[:_MAX_LINE_BYTES]))
            part = _receive(self.connection, deadline)
            if not part:
                return None
            self._received += part
        line, _, self._received = self._received.partition(b"\n")
        word, _, number = line.decode("ascii", "replace").partition(" ")
        if word not in _WORDS or not number.isdecimal() or len(number) > 9:
            raise Garbled(repr(line[:_MAX_LINE_BYTES]))
        return Message(word, int(number))


def _receive(connection: socket.socket, deadline: float) -> bytes:
    connection.settimeout(max(0.001, deadline - time.monotonic()))
    try:
        return connection.recv(_MAX_LINE_BYTES)
    except TimeoutError:
        raise
    except OSError:
        return b""


def receive_offer(connection: socket.socket, seconds: float) -> tuple[Offer, list[int]]:
    """An offer and its three descriptors, which are the caller's to close.

    Raises OSError if it does not come within so many seconds, Garbled if it is none; whatever
    descriptors came are closed then.
    """
    deadline = time.monotonic() + seconds
    line, descriptors = b"", list[int]()
    try:
        while not line.endswith(b"\n"):
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            part, more, flags, _ = socket.recv_fds(connection, _MAX_OFFER_BYTES, 3)
            descriptors += more
            line += part
            if not part or len(line) > _MAX_OFFER_BYTES or flags & socket.MSG_CTRUNC:
                raise Garbled("an offer that is too long, or does not end")
        if len(descriptors) != 3:
            raise Garbled(f"an offer with {len(descriptors)} descriptors instead of 3")
        return Offer.decode(line), descriptors
    except BaseException:
        close_all(descriptors)
        raise


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors that may be closed already."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
