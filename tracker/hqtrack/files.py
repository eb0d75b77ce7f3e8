"""Files on disk: those that ship with this package, files that are replaced, journals.

A journal is a file of JSON values, one per line, that only grows. A process that is killed may
leave a last line that is cut off; readers do not see it, and the next writer removes it.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple


def shipped(name: str) -> Path:
    """A file that is part of this package, by its name in ``hqtrack/data``."""
    return Path(__file__).with_name("data") / name


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path to write a file to; the file moves to ``path`` when the block ends.

    Readers of ``path`` see the old file or the new one, never a part. After an error the old file
    is still there and the new one is removed. Raises OSError where the file cannot be moved.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):  # it was not made, or what failed the block fails this, too
            part.unlink()
        raise


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill, which becomes ``folder`` when the block ends.

    After an error nothing is left. Raises OSError where ``folder`` cannot be made, or exists and
    is not empty.
    """
    part = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        yield part
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


class Line(NamedTuple):
    """A line of a journal: its JSON value, and the position in bytes at which it ends."""

    value: Any
    end: int


def first_line(path: Path) -> bytes | None:
    """The first line of a file with its end; None where there is no file or no complete line."""
    try:
        with path.open("rb") as file:
            line = file.readline()
    except FileNotFoundError:
        return None
    return line if line.endswith(b"\n") else None


def journal_lines(path: Path, start: int = 0, skip: bool = False) -> Iterator[Line]:
    """The good lines of a journal from position ``start`` on, in order, read one by one.

    They end before the first line that is cut off or is no JSON. With ``skip`` only such lines are
    left out, for a file that several processes write. There are none where there is no file.
    Raises OSError where the file cannot be read.
    """
    try:
        file = path.open("rb")
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
            except ValueError:
                if skip:
                    continue
                return
            yield Line(value, end)


class Journal:
    """Writes a journal, of which it is the only writer; a context manager."""

    def __init__(self, path: Path, end: int = 0) -> None:
        """Keep the first ``end`` bytes of the file and drop the others; make it if need be.

        Raises OSError where it cannot be written.
        """
        self._file = path.open("ab", buffering=0)
        self._file.truncate(end)

    def append(self, value: object) -> None:
        """Add a line; it can be read when this returns. Raises OSError where it does not fit."""
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
    """Add complete lines to a journal that several processes write, in one piece.

    A last line that a killed process cut off is ended first, so that it damages no other. Raises
    OSError where the file cannot be written.
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
    """Write in one piece; what a full disk did not take is tried again, which tells why."""
    while text:
        text = text[file.write(text) :]
