"""Standard input, output and error that are closed, have a narrow encoding, or lost their reader.

Only the standard library.
"""

import errno
import io
import os
import sys

_READER_GONE = (errno.EPIPE, errno.EIO)
"""A pipe that nobody reads, and a terminal that was closed."""


def repair_descriptors() -> None:
    """Point closed descriptors among 0, 1 and 2 at nothing, so that no other file gets the number.

    Characters that the encoding of standard output or error lacks are printed as escapes from now.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != descriptor:
                os.dup2(nothing, descriptor)
                os.close(nothing)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def outlive_readers() -> None:
    """Drop what is printed once nobody reads it any more (``| head -1``), without an error.

    Standard error drops its text after any error, because there is nowhere to report it.
    """
    if type(sys.stdout) is io.TextIOWrapper:
        sys.stdout = _Outliving(sys.stdout, _READER_GONE)
    if type(sys.stderr) is io.TextIOWrapper:
        sys.stderr = _Outliving(sys.stderr, None)


class _Outliving(io.TextIOWrapper):
    """Writes where ``stream`` writes; after one of the ``errors``, by default any, to nothing."""

    def __init__(self, stream: io.TextIOWrapper, errors: tuple[int, ...] | None) -> None:
        super().__init__(
            stream.buffer,
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        # the buffer is closed with the first of its streams
        self._stream = stream
        self._errors = errors

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> None:
        """Write to nothing from now on, also what is in the buffer."""
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, self.fileno())
        os.close(nothing)
        if self._errors is not None and error.errno not in self._errors:
            raise error
