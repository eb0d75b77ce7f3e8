"""Lines to and from a client, over two descriptors; only the standard library.

Nothing here waits for a client that is gone, or collects more than a request may hold.
"""

import contextlib
import fcntl
import os
import select
import socket
import termios
import time
from array import array

from hqtrack.vot.messages import ProtocolError

MAX_REQUEST_BYTES = 1 << 28
"""What the messages of one request may hold together."""

HANG_UP = getattr(select, "POLLRDHUP", 0)
"""The event of a socket whose other end is closed; a pipe reports it unasked."""

_CHUNK_BYTES = 1 << 16
_PIPE_BYTES = 4096  # what a pipe that is ready for writing takes without waiting
_LINE_SECONDS = 60.0
_UNREAD_SECONDS = 5.0


class ClientGone(Exception):
    """The client has disconnected; the message, if any, completes a sentence that says so."""


class Wire:
    """A connection with a client.

    ``source`` and ``sink`` are descriptors to read from and write to, of pipes or sockets; both may
    be the same. They stay the caller's to close.
    """

    def __init__(self, source: int, sink: int) -> None:
        self.source = source
        self.sink = sink
        self.amid = False
        """Whether a part of what is to be sent was sent, so that nothing else may follow."""
        self._received = bytearray()
        self._searched = 0

    def read_line(self, limit: int = MAX_REQUEST_BYTES) -> bytes:
        """The next line with its end; waits for its beginning as long as the client is there.

        Raises ClientGone where the client hangs up before the line ends, ProtocolError where the
        line has more than ``limit`` bytes or does not end within a minute of its beginning.
        """
        began = time.monotonic()
        while (end := self._received.find(b"\n", self._searched)) < 0:
            self._searched = len(self._received)
            if self._searched > limit:
                raise ProtocolError(
                    f"the client's messages have more than {limit >> 20} MiB before an image: "
                    "send fewer or smaller masks"
                )
            if not self._received:
                self.speaks(None)
                began = time.monotonic()
            elif not self.speaks(began + _LINE_SECONDS - time.monotonic()):
                raise ProtocolError(
                    f"the client stopped in the middle of a message {_LINE_SECONDS:.0f} s ago: "
                    "end each message with a line end"
                )
            self._received += self._read()
        line = bytes(self._received[: end + 1])
        del self._received[: end + 1]
        self._searched = 0
        return line

    def _read(self) -> bytes:
        try:
            data = os.read(self.source, _CHUNK_BYTES)
        except OSError as error:
            raise ClientGone(f": {error.strerror}") from error
        if not data:
            raise ClientGone
        return data

    def speaks(self, timeout: float | None) -> bool:
        """Whether the client sends something, or hangs up, within so many seconds."""
        if self._received:
            return True
        return self._poll_source(select.POLLIN, timeout)

    def gone(self) -> bool:
        """Whether the client hung up and nothing that it sent is left to read."""
        unread = array("i", [0])
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.source, termios.FIONREAD, unread)
        return not self._received and unread[0] == 0 and self._poll_source(HANG_UP, 0.0)

    def _poll_source(self, events: int, timeout: float | None) -> bool:
        poll = select.poll()
        poll.register(self.source, events)
        return bool(poll.poll(None if timeout is None else max(0.0, 1000 * timeout)))

    def write(self, data: bytes, patience: float | None = None) -> None:
        """Send all of this; waits for a client that is there, however slowly it reads.

        Raises ClientGone where the client is gone, hung up and does not read what is sent, or reads
        nothing for ``patience`` seconds.
        """
        rest = memoryview(data)
        poll = select.poll()
        poll.register(self.sink, select.POLLOUT)
        while rest:
            if poll.poll(1000 * (_UNREAD_SECONDS if patience is None else patience)):
                rest = rest[self._write(rest) :]
                self.amid = bool(rest)
            elif patience is not None or self._poll_source(HANG_UP, 0.0):
                raise ClientGone(", or does not read the messages")

    def _write(self, data: memoryview) -> int:
        try:
            return os.write(self.sink, data[:_PIPE_BYTES])
        except BlockingIOError:
            return 0
        except OSError as error:
            raise ClientGone(f": {error.strerror}") from error


def connect(port: str, patience: float) -> socket.socket:
    """A connection to the client that listens on this port of localhost.

    Raises ProtocolError where that is no port, or nobody listens there for ``patience`` seconds.
    """
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ProtocolError(f"TRAX_SOCKET is {port!r}: give a port from 1 to 65535")
    deadline = time.monotonic() + patience
    while True:
        try:
            connection = socket.create_connection(("127.0.0.1", int(port)), timeout=patience)
        except OSError as error:
            if time.monotonic() > deadline:
                raise ProtocolError(
                    f"nobody listens on port {port} of this machine, which TRAX_SOCKET names "
                    f"({error}): start the client first"
                ) from error
            time.sleep(0.1)
            continue
        if connection.getsockname() == connection.getpeername():
            connection.close()  # with nobody there, a connection may meet itself
            continue
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
