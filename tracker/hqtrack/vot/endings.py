"""Errors that end a session, in words; only the standard library."""

import contextlib
import sys
import traceback

from hqtrack.errors import MISSING_LIBRARY, MORE_MEMORY, InputError, one_line, ran_out_of_memory
from hqtrack.signals import Ended

NO_CLIENT = """\
hqtrack.vot talks to the VOT toolkit over standard input and output, but no toolkit is connected.
Let the toolkit start it:      vot evaluate --workspace WORKSPACE HQTrackLight
or debug it by hand:           hqtrack debug --help
or track without the toolkit:  hqtrack run --help
"""
"""The message to a person who starts a tracker process by hand."""


def report(error: BaseException) -> None:
    """Print what went wrong to standard error; bugs with their traceback."""
    told = isinstance(error, InputError | Ended | SystemExit) or ran_out_of_memory(error)
    with contextlib.suppress(OSError, ValueError):
        if not told:
            traceback.print_exception(error)
        print(f"hqtrack.vot: {reason(error)}", file=sys.stderr, flush=True)


def reason(error: BaseException) -> str:
    """What went wrong and, where that is known, what to do; one line."""
    text = one_line(error)
    if isinstance(error, InputError | Ended):
        return text
    if isinstance(error, SystemExit):
        return f"the tracker ended its process with status {exit_status(error)}"
    if ran_out_of_memory(error):
        return f"{text}: {MORE_MEMORY}"
    if isinstance(error, ImportError):
        return f"{text}: {MISSING_LIBRARY}"
    return text


def exit_status(error: BaseException) -> int:
    """The exit status of a process that ends with this error."""
    if isinstance(error, Ended):
        return error.status
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code or 1  # no session is over before the client says so
    return 1
