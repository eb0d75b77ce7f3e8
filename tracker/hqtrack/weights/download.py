"""Fetching one large file: from where, resumed after a failure, once, and all of it or nothing."""

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hqtrack.errors import InputError

_SILENCE = 30.0
"""Seconds without a byte after which a transfer counts as interrupted."""

_RETRIES = 5


class DownloadError(OSError):
    """A file could not be fetched; the message says how to get it by hand."""


class Remote(Protocol):
    """Where a file can be had."""

    @property
    def page(self) -> str:
        """The web page on which a person finds the file."""

    def fetch(self, target: Path) -> None:
        """Write the file to `target`, with a progress bar on stderr.

        May keep what it has received in the folder of `target`, and goes on from there when called
        again. Raises any exception where the file does not arrive.
        """


@dataclass(frozen=True)
class DriveFile:
    """A file in a shared folder of Google Drive; `folder` is the folder's id.

    Files below a folder called `but_not_in` are other ones of the same name.
    """

    folder: str
    file: str
    but_not_in: str = "ema_ckpt"

    @property
    def page(self) -> str:
        """The folder."""
        return f"https://drive.google.com/drive/folders/{self.folder}"

    def fetch(self, target: Path) -> None:
        """Look the file up in the folder and fetch it with gdown."""
        import gdown

        listing = gdown.download_folder(
            id=self.folder, skip_download=True, quiet=True, timeout=_SILENCE
        )
        links = {Path(entry.path): entry.id for entry in listing if not isinstance(entry, str)}
        fitting = [
            link
            for path, link in links.items()
            if path.name == self.file and self.but_not_in not in path.parts
        ]
        if len(fitting) != 1:
            held = ", ".join(map(str, links)) or "nothing"
            raise LookupError(f"the folder holds not one {self.file} but {held}")
        gdown.download(
            id=fitting[0],
            output=str(target),
            resume=True,
            timeout=_SILENCE,
            retries=_RETRIES,
        )


@dataclass(frozen=True)
class HubFile:
    """A file of a model on the Hugging Face Hub; `repository` is "owner/name"."""

    repository: str
    file: str

    @property
    def page(self) -> str:
        """The model's list of files."""
        return f"https://huggingface.co/{self.repository}/tree/main"

    def fetch(self, target: Path) -> None:
        """Fetch the file with huggingface_hub."""
        import huggingface_hub

        found = huggingface_hub.hf_hub_download(
            self.repository, self.file, local_dir=target.parent, etag_timeout=_SILENCE
        )
        os.replace(found, target)


def download(source: Remote, path: Path, check: Callable[[Path], None]) -> None:
    """Fetch a file unless it is there; at `path` there is never less than the whole file.

    Of several processes one fetches and the others wait. What arrives is moved into place once
    `check`, which raises InputError, accepts it; what it refuses is deleted. An interrupted
    transfer is resumed by the next call. Raises DownloadError where the file cannot be had, and
    InputError where the folder cannot be written to.
    """
    if path.exists():
        return
    with _lock(path):
        if path.exists():
            return
        staging = path.with_name(f".{path.name}.part")
        staging.mkdir(exist_ok=True)
        _fetch(source, staging / path.name, check)
        os.replace(staging / path.name, path)
        shutil.rmtree(staging)


def _lock(path: Path) -> AbstractContextManager[object]:
    """Wait until no other process fetches this file; the folder is made."""
    from filelock import FileLock, Timeout  # slow to import, and seldom needed

    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return lock.acquire(timeout=0)
    except Timeout:
        print(f"another process is fetching {path.name}; waiting for it", file=sys.stderr)
        return lock.acquire()
    except OSError as error:
        raise InputError(
            f"cannot write to the folder {path.parent} ({error}): set HQTRACK_WEIGHTS to a folder "
            "in which you may write"
        ) from error


def _fetch(source: Remote, target: Path, check: Callable[[Path], None]) -> None:
    by_hand = f"get {target.name} by hand from {source.page} and put it into {target.parent.parent}"
    try:
        source.fetch(target)
    except Exception as error:  # whatever the libraries and the network come up with
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DownloadError(
            f"could not fetch {target.name}: {reason}. Run the same command again to go on from "
            f"where it stopped; without a connection, {by_hand}"
        ) from error
    try:
        check(target)
    except InputError as error:
        shutil.rmtree(target.parent)
        raise DownloadError(
            f"the server sent something else than {target.name}: {error}. Try again later, or "
            f"{by_hand}"
        ) from error
