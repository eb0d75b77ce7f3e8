"""Errors that the caller can fix. Every message says how."""

import errno
import resource
import sys
from collections.abc import Callable

_NO_MEMORY = (
    "cannot allocate memory",
    "can't allocate memory",
    "out of memory",
    "insufficient memory",
    "failed to allocate",
    "unable to allocate",
    "std::bad_alloc",
)


_NOT_MAPPED = "failed to map segment from shared object"
"""What the loader says of a library: too little memory if that is limited, else no permission."""

MORE_MEMORY = "there is too little memory; end other programs, or take a smaller tracker or device"
MISSING_LIBRARY = "a library cannot be loaded; `hqtrack doctor` says what is missing"


class InputError(ValueError):
    """An input cannot be used: an image, a mask, a folder, an option."""


class MissingFileError(FileNotFoundError, InputError):
    """A requested file or folder does not exist."""


def exit_status(name: str, run: Callable[[], object], *others: type[Exception]) -> int:
    """Run a command that is no part of ``hqtrack``; returns 0, or 2 after an error.

    An InputError, an OSError and these ``others`` become one line on standard error, which begins
    with the command's name.
    """
    told: tuple[type[Exception], ...] = (InputError, OSError, *others)
    try:
        run()
    except told as error:
        print(f"{name}: error: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


def one_line(error: BaseException) -> str:
    """The message of an error in one line, or the name of its class if it has no message."""
    return " ".join(str(error).split()) or type(error).__name__


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether this is how Python, torch, OpenCV or the system say that there is too little memory.

    They have no type in common: torch raises RuntimeError, OpenCV an error of its own.
    """
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    text = str(error).lower()
    if _NOT_MAPPED in text and resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        return True
    return any(words in text for words in _NO_MEMORY)
