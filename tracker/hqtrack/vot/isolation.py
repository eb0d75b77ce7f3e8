"""Gives TraX its own file descriptors, so that printing cannot corrupt the protocol.

The toolkit reads standard output and standard error through one pipe. It waits forever if text
without a line end comes between two messages (as from a progress bar), and the protocol breaks if
text comes into a message. So the protocol moves to separate descriptors. Printed text is collected
and forwarded to standard error as complete lines between the messages, so that it appears in the
toolkit's log.
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
    """Descriptors of the protocol's input, of the original standard error, and of the unnamed file
    to which descriptors 1 and 2 write.
    """

    protocol_in: int
    error: int
    printed: int

    def forward(self) -> None:
        """Forward the text printed since the last call; call it only between protocol messages.

        Raises BrokenPipeError if the client has disconnected.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        size = os.fstat(self.printed).st_size
        if size:
            text = os.pread(self.printed, size, 0)
            os.ftruncate(self.printed, 0)
            os.write(self.error, whole_lines(text))

    def client_speaks(self, timeout: float) -> bool:
        """Whether the client sends something or disconnects within ``timeout`` seconds."""
        return bool(select.select([self.protocol_in], [], [], timeout)[0])

    def client_gone(self) -> bool:
        """Whether the client has disconnected and everything it sent has been read."""
        unread = array("i", [0])
        fcntl.ioctl(self.protocol_in, termios.FIONREAD, unread)
        poll = select.poll()
        poll.register(self.protocol_in, 0)
        return unread[0] == 0 and bool(poll.poll(0))


class Direct(NamedTuple):
    """The protocol uses the socket named in TRAX_SOCKET, so printed text needs no redirection."""

    def forward(self) -> None:
        """Do nothing: no text is collected."""

    def client_speaks(self, timeout: float) -> bool:
        """True, because only libtrax can read the socket."""
        return True

    def client_gone(self) -> bool:
        """True, for the same reason: it is the most likely cause of the end of a session."""
        return True


class Channel(Protocol):
    """The connection to the client; see ``Streams``."""

    def forward(self) -> None:
        """Forward other output."""

    def client_speaks(self, timeout: float) -> bool:
        """Whether the client sends something or disconnects within ``timeout`` seconds."""

    def client_gone(self) -> bool:
        """Whether the client has disconnected."""


def can_have_client() -> bool:
    """Whether descriptor 0 can be connected to a TraX client."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def isolate() -> Streams:
    """Give the protocol separate descriptors.

    Afterwards descriptor 0 is empty, and 1 and 2 write to a file; see ``Streams.forward``.
    """
    protocol_in, protocol_out, error = os.dup(0), os.dup(1), os.dup(2)
    return adopt(protocol_in, protocol_out, error, collect_output())


def collect_output() -> int:
    """Empty descriptor 0, redirect 1 and 2 to an unnamed file, and return its descriptor."""
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
    """Use these descriptors for the protocol; TRAX_IN and TRAX_OUT tell libtrax about them.

    After a crash in native code, the stack goes to ``error``.
    """
    os.environ["TRAX_IN"], os.environ["TRAX_OUT"] = str(protocol_in), str(protocol_out)
    faulthandler.enable(file=error)
    return Streams(protocol_in, error, printed)


def whole_lines(text: bytes) -> bytes:
    """The text as a terminal would show it, in ASCII, as complete lines.

    If a carriage return overwrites a line, the last version remains. No line looks like a protocol
    message.
    """
    lines = text.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    shown = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines]
    if not shown[-1]:
        shown.pop()
    ended = "".join(f"{line}\n" for line in shown).replace(_MESSAGE_START, "@@ TRAX:")
    return ended.encode("ascii", "replace")
