"""Gives TraX its own file descriptors, so that printing cannot corrupt the protocol.

The toolkit reads standard output and standard error through one pipe. It waits forever if text
without a line end comes between two messages (as from a progress bar), and the protocol breaks if
text comes into a message. So the protocol moves to separate descriptors. Printed text is collected
and forwarded to standard error as complete lines between the messages, so that it appears in the
toolkit's log.
"""

import contextlib
import faulthandler
import fcntl
import os
import stat
import sys
import tempfile
from typing import NamedTuple, Protocol

from hqtrack.vot.wire import ClientGone, Wire

_MESSAGE_START = "@@TRAX:"
_UNHEARD_SECONDS = 5.0


class Channel(Protocol):
    """The connection to the client."""

    @property
    def wire(self) -> Wire:
        """The messages."""

    def forward(self) -> None:
        """Forward other output; call it only between two messages."""


class Streams:
    """A connection over pipes: ``error`` is the original standard error, ``printed`` the unnamed
    file to which descriptors 1 and 2 write.
    """

    def __init__(self, wire: Wire, error: int, printed: int) -> None:
        self.wire = wire
        self.error = error
        self.printed = printed
        self._heard = True

    def forward(self) -> None:
        """Forward the text printed since the last call; call it only between two messages.

        If nobody reads it for some seconds, this text and all later text is dropped, unless the
        messages use the same pipe.
        """
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        size = os.fstat(self.printed).st_size
        if not size:
            return
        text = os.pread(self.printed, size, 0)
        os.ftruncate(self.printed, 0)
        if self._heard:
            shared = os.path.sameopenfile(self.error, self.wire.sink)
            try:
                Wire(self.wire.source, self.error).write(
                    whole_lines(text), None if shared else _UNHEARD_SECONDS
                )
            except ClientGone:
                self._heard = False


class Direct(NamedTuple):
    """A connection over the socket named in TRAX_SOCKET; printed text needs no redirection."""

    wire: Wire

    def forward(self) -> None:
        """Do nothing: no text is collected."""


def can_have_client() -> bool:
    """Whether descriptor 0 can be connected to a TraX client."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def isolate() -> Streams:
    """Give the protocol separate descriptors.

    Afterwards descriptor 0 is empty, and 1 and 2 write to a file; see ``Streams.forward``. After a
    crash in native code, the stack goes to the original standard error.
    """
    protocol_in, protocol_out, error = os.dup(0), os.dup(1), os.dup(2)
    printed = collect_output()
    faulthandler.enable(file=error)
    return Streams(Wire(protocol_in, protocol_out), error, printed)


def collect_output() -> int:
    """Empty descriptor 0, redirect 1 and 2 to an unnamed file, and return its descriptor."""
    printed = _unnamed_file()
    fcntl.fcntl(printed, fcntl.F_SETFL, os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    return printed


def _unnamed_file() -> int:
    """An unnamed file; in memory if the system supports that, since a disk may be full."""
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):
            return os.memfd_create("hqtrack-printed")
    printed, path = tempfile.mkstemp(prefix="hqtrack-")
    os.unlink(path)
    return printed


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
