"""Files on disk: files that ship with this package, atomic replacement, and journals.

A journal is a file of JSON values, one per line, that only grows. A killed process may leave an
incomplete last line; readers ignore it, and the next writer removes it.
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
    """Replace a file atomically: gives a path to write to, which moves to ``path`` after the block.

    Readers of ``path`` see the old file or the new one, never a partial one. After an error the old
    file is still there and the new one is deleted. Raises OSError if the file cannot be moved.
    """
    part = path.with_name(f".{path.stem}.part{path.suffix}")
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


class Line(NamedTuple):
    """A line of a journal: its JSON value, and the position in bytes at which it ends."""

    value: Any
    end: int


def first_line(path: Path) -> bytes | None:
    """The first line of a file with its line end; None without a file or a complete line."""
    try:
        with path.open("rb") as file:
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
