"""Descriptors of its own for the TraX protocol, whatever else the process prints.

The toolkit reads standard output and standard error through one pipe. It waits forever when text
without a line end gets between two messages (a progress bar does that), and the protocol breaks
when text gets into one. So the protocol moves to descriptors of its own; what is printed is
collected and passed on to standard error as whole lines between the messages, and so ends up in
the toolkit's log.
"""

import faulthandler
import fcntl
import os
import select
import stat
import sys
import tempfile
import termios
from array import array
from typing import NamedTuple, Protocol

_MESSAGE_START = "@@TRAX:"


class Streams(NamedTuple):
    """Descriptors: the protocol's input, the standard error we were started with, and the unnamed
    file that descriptors 1 and 2 lead to.
    """

    protocol_in: int
    error: int
    printed: int

    def forward(self) -> None:
        """Pass on what was printed since the last time; only between two protocol messages.

        Raises BrokenPipeError when the client is gone.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        size = os.fstat(self.printed).st_size
        if size:
            text = os.pread(self.printed, size, 0)
            os.ftruncate(self.printed, 0)
            os.write(self.error, whole_lines(text))

    def client_speaks(self, timeout: float) -> bool:
        """Whether the client sends something, or hangs up, within so many seconds."""
        return bool(select.select([self.protocol_in], [], [], timeout)[0])

    def client_gone(self) -> bool:
        """Whether the client closed the protocol and nothing it sent is left to read."""
        unread = array("i", [0])
        fcntl.ioctl(self.protocol_in, termios.FIONREAD, unread)
        poll = select.poll()
        poll.register(self.protocol_in, 0)
        return unread[0] == 0 and bool(poll.poll(0))


class Direct(NamedTuple):
    """The protocol has a socket of its own, named in TRAX_SOCKET; what is printed is left alone."""

    def forward(self) -> None:
        """Nothing is held back."""

    def client_speaks(self, timeout: float) -> bool:
        """True: libtrax keeps the socket to itself."""
        return True

    def client_gone(self) -> bool:
        """True, for the same reason: of all that ends a session this is the most likely."""
        return True


class Channel(Protocol):
    """What there is to know of the way to the client; see ``Streams``."""

    def forward(self) -> None:
        """Let other output pass."""

    def client_speaks(self, timeout: float) -> bool:
        """Whether the client says something, or hangs up, within so many seconds."""

    def client_gone(self) -> bool:
        """Whether the client hung up."""


def can_have_client() -> bool:
    """Whether descriptor 0 is something a TraX client may hold the other end of."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def isolate() -> Streams:
    """Give the protocol descriptors of its own.

    From here on descriptor 0 is empty, and 1 and 2 lead to a file; see ``Streams.forward``.
    """
    protocol_in, protocol_out, error = os.dup(0), os.dup(1), os.dup(2)
    return adopt(protocol_in, protocol_out, error, collect_output())


def collect_output() -> int:
    """Empty descriptor 0 and lead 1 and 2 to an unnamed file, whose descriptor is returned."""
    printed, path = tempfile.mkstemp(prefix="hqtrack-")
    os.unlink(path)
    fcntl.fcntl(printed, fcntl.F_SETFL, os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    return printed


def adopt(protocol_in: int, protocol_out: int, error: int, printed: int) -> Streams:
    """Take these descriptors for the protocol: they are named in TRAX_IN and TRAX_OUT for libtrax.

    A crash in native code writes its stack to ``error``.
    """
    os.environ["TRAX_IN"], os.environ["TRAX_OUT"] = str(protocol_in), str(protocol_out)
    faulthandler.enable(file=error)
    return Streams(protocol_in, error, printed)


def whole_lines(text: bytes) -> bytes:
    """What a terminal would show of the text, line by line, in ASCII, each line ended.

    Of a line that was written over (carriage return) the last state stays. No line passes for a
    message of the protocol.
    """
    lines = text.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    shown = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines]
    if not shown[-1]:
        shown.pop()
    ended = "".join(f"{line}\n" for line in shown).replace(_MESSAGE_START, "@@ TRAX:")
    return ended.encode("ascii", "replace")
