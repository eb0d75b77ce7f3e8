"""Files on disk: files that ship with this package, atomic replacement, and journals.

A journal is a file of JSON values, one per line, that only grows. A killed process may leave an
incomplete last line; readers ignore it, and the next writer removes it.
"""

import errno
import fcntl
import json
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from hqtrack.errors import InputError
from hqtrack.signals import uninterrupted


def shipped(name: str) -> Path:
    """A file that is part of this package, by its name in ``hqtrack/data``."""
    return Path(__file__).with_name("data") / name


def cache_folder() -> Path:
    """``hqtrack`` in the user's cache: in XDG_CACHE_HOME, else in ``~/.cache``."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "hqtrack"


def part_of(path: Path) -> Path:
    """Where a file is written before it replaces ``path``: hidden, beside it, of its type."""
    return path.with_name(f".{path.stem}.part{path.suffix}")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Replace a file atomically: gives a path to write to, which moves to ``path`` after the block.

    Readers of ``path`` see the old file or the new one, never a partial one. After an error the old
    file is still there and the new one is deleted. Raises OSError if the file cannot be moved.
    """
    part = part_of(path)
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):  # it does not exist, or it fails for the same reason as the block
            part.unlink()
        raise


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Create a folder atomically: gives an empty folder, which moves to ``folder`` after the block.

    After an error nothing remains. Raises OSError if ``folder`` cannot be created, or exists and is
    not empty.
    """
    part = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        yield part
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; others may have no end, or wait for a writer.

    Raises OSError if it is none or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock, a file with the number of this process; the system releases it with the process.

    Raises InputError, which names the process, if another one holds it, OSError if the file cannot
    be written.
    """
    descriptor = None
    try:
        with uninterrupted():  # or a signal leaves the file behind
            descriptor = _lock(path)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()} {socket.gethostname()}".encode())
        yield
    finally:
        if descriptor is not None:
            with uninterrupted(), suppress(OSError):
                path.unlink()
            os.close(descriptor)


def _lock(path: Path) -> int:
    """The descriptor of the locked file."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
            # the process before deleted it meanwhile
            os.close(descriptor)
        except BlockingIOError:
            holder = os.read(descriptor, 300)
            os.close(descriptor)
            raise InputError(_held(path, holder)) from None


def _held(path: Path, holder: bytes) -> str:
    number, _, host = holder.decode(errors="replace").partition(" ")
    where = "" if host in ("", socket.gethostname()) else f" on {host}"
    return (
        f"process {number or '(just started)'}{where} writes to {path.parent}: wait until it ends, "
        "or write to another folder"
    )


class Line(NamedTuple):
    """A line of a journal: its JSON value, and the position in bytes at which it ends."""

    value: Any
    end: int


def first_line(path: Path) -> bytes | None:
    """The first line of a file with its line end; None without a file or a complete line."""
    try:
        with open_regular(path) as file:
            line = file.readline()
    except FileNotFoundError:
        return None
    return line if line.endswith(b"\n") else None


def journal_lines(path: Path, start: int = 0, skip: bool = False) -> Iterator[Line]:
    """The valid lines of a journal from position ``start`` on, in order, read one by one.

    They end before the first line that is incomplete or not JSON. With ``skip``, for a file that
    several processes write, only such lines are skipped. Without a file there are no lines. Raises
    OSError if the file cannot be read.
    """
    try:
        file = open_regular(path)
    except FileNotFoundError:
        return
    with file:
        file.seek(start)
        end = start
        for text in file:
            end += len(text)
            if not text.endswith(b"\n"):
                return
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                if skip:
                    continue
                return
            yield Line(value, end)


class Journal:
    """Writes a journal as its only writer; a context manager."""

    def __init__(self, path: Path, end: int = 0) -> None:
        """Keep the first ``end`` bytes of the file and delete the rest; create it if needed.

        Raises OSError if it cannot be written.
        """
        self._file = path.open("ab", buffering=0)
        self._file.truncate(end)

    def append(self, value: object) -> None:
        """Add a line; after this returns, readers see it. Raises OSError if the disk is full."""
        _write(self._file, json.dumps(value).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "Journal":
        """The journal itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self.close()


def append_lines(path: Path, text: bytes) -> None:
    """Add complete lines to a journal that several processes write, with a single write.

    If a killed process has left an incomplete last line, this ends that line first, so that it
    cannot damage another. Raises OSError if the file cannot be written.
    """
    with path.open("a+b", buffering=0) as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                text = b"\n" + text
        _write(file, text)


def append_line(path: Path, value: object) -> None:
    """Add a value to a journal that several processes write; see ``append_lines``."""
    append_lines(path, json.dumps(value).encode() + b"\n")


def _write(file: FileIO, text: bytes) -> None:
    """Write with a single call; if a full disk takes only a part, the retry raises the reason."""
    while text:
        text = text[file.write(text) :]
