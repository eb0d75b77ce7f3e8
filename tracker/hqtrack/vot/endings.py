"""How a session ends other than well: signals, and errors in words; only the standard library."""

import contextlib
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from types import FrameType

from hqtrack.errors import InputError, one_line, ran_out_of_memory

NO_CLIENT = """\
hqtrack.vot talks to the VOT toolkit over standard input and output, but no toolkit is connected.
Let the toolkit start it:      vot evaluate --workspace WORKSPACE HQTrackLight
or debug it by hand:           hqtrack debug --help
or track without the toolkit:  hqtrack run --help
"""
"""The message to a person who starts a tracker process by hand."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Ended(BaseException):
    """A signal asks this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.status = 128 + number


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Raise Ended inside where SIGTERM, SIGINT or SIGHUP comes; one that is ignored stays so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(number: int, _: FrameType | None) -> None:
    raise Ended(number)


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
        return (
            f"{text}: there is too little memory; end other programs, or take a smaller tracker "
            "or device"
        )
    if isinstance(error, ImportError):
        return f"{text}: a library cannot be loaded; `hqtrack doctor` says what is missing"
    return text


def exit_status(error: BaseException) -> int:
    """The exit status of a process that ends with this error."""
    if isinstance(error, Ended):
        return error.status
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code or 1  # no session is over before the client says so
    return 1
