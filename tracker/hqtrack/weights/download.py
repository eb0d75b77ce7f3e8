"""Downloads one large file: resumes after a failure, in one process only, and atomically."""

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hqtrack.errors import InputError, one_line

_SILENCE = 30.0
"""A transfer without a byte for so many seconds counts as interrupted."""

_RETRIES = 5


class DownloadError(OSError):
    """A download failed; the message says how to get the file by hand."""


class Remote(Protocol):
    """The source of a file."""

    @property
    def page(self) -> str:
        """The web page from which a person can download the file."""

    def fetch(self, target: Path) -> None:
        """Write the file to `target`, with a progress bar on stderr.

        May keep a partial file in the folder of `target` and resume from it in the next call.
        Raises any exception if the download fails.
        """


@dataclass(frozen=True)
class DriveFile:
    """A file in a shared folder of Google Drive; `folder` is the folder's id.

    Files below a folder called `but_not_in` are different files of the same name.
    """

    folder: str
    file: str
    but_not_in: str = "ema_ckpt"

    @property
    def page(self) -> str:
        """The folder."""
        return f"https://drive.google.com/drive/folders/{self.folder}"

    def fetch(self, target: Path) -> None:
        """Find the file in the folder and download it with gdown."""
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
            raise LookupError(f"the folder should have one {self.file}, but has {held}")
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
        """Download the file with huggingface_hub."""
        import huggingface_hub

        found = huggingface_hub.hf_hub_download(
            self.repository, self.file, local_dir=target.parent, etag_timeout=_SILENCE
        )
        os.replace(found, target)


def download(source: Remote, path: Path, check: Callable[[Path], None]) -> None:
    """Download a file unless it is there; `path` never contains a partial file.

    If several processes call this, one downloads and the others wait. The file is moved into place
    after `check`, and deleted if `check` raises InputError. The next call resumes an interrupted
    transfer. Raises DownloadError if the download fails, InputError if the folder is not writable.
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
    """Create the folder, and wait until no other process downloads this file."""
    from filelock import FileLock, Timeout  # slow to import and rarely needed

    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return lock.acquire(timeout=0)
    except Timeout:
        print(f"another process is downloading {path.name}; waiting for it", file=sys.stderr)
        return lock.acquire()
    except OSError as error:
        raise InputError(
            f"cannot write to the folder {path.parent} ({error}): set HQTRACK_WEIGHTS to a "
            "writable folder"
        ) from error


def _fetch(source: Remote, target: Path, check: Callable[[Path], None]) -> None:
    by_hand = f"get {target.name} by hand from {source.page} and put it into {target.parent.parent}"
    try:
        source.fetch(target)
    except Exception as error:  # the libraries raise many types
        raise DownloadError(
            f"could not download {target.name}: {one_line(error)}. Run the same command again to "
            f"resume; without a connection, {by_hand}"
        ) from error
    try:
        check(target)
    except InputError as error:
        shutil.rmtree(target.parent)
        raise DownloadError(
            f"the server sent a different file than {target.name}: {error}. Try again later, or "
            f"{by_hand}"
        ) from error
