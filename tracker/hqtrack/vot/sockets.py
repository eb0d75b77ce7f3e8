"""Where the sockets of resident processes are, and how one is reached or started; only the standard
library.

The sockets are in a private folder of the user. The name of a socket is a hash of everything that
affects the tracker. A lock on the folder is held while a socket is made or removed.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from hqtrack.environment import OF_A_SESSION

_SETTINGS = ("HQTRACK_", "CUDA", "NVIDIA", "TORCH", "PYTORCH", "PYTHON", "OMP_", "MKL_", "LD_")
_PACKAGES = ("hqtrack", "hqsam", "vmos")
_LOCK_SECONDS = 5.0
_CONNECT_SECONDS = 5.0


class Unavailable(Exception):
    """No resident process can serve the client; the message says why."""


class SocketFile(NamedTuple):
    """A socket as it was bound: another file may have its path later."""

    path: Path
    state: str

    @classmethod
    def bound(cls, path: Path) -> "SocketFile":
        """The socket that was just bound to this path. Raises OSError if it is not there."""
        return cls(path, _identity(path))

    def there(self) -> bool:
        """Whether its path still leads to it."""
        try:
            return _identity(self.path) == self.state
        except OSError:
            return False

    def remove(self) -> None:
        """Remove it, but no other that has its path. Raises OSError, Unavailable."""
        with locked(self.path.parent):
            if self.there():
                self.path.unlink(missing_ok=True)


def _identity(path: Path) -> str:
    status = path.lstat()
    return f"{status.st_dev}:{status.st_ino}:{status.st_ctime_ns}"


def connect(preset: str, idle: float, weights: Sequence[Path] = ()) -> tuple[socket.socket, bool]:
    """A connection to the resident process of this preset, and whether it was started for it.

    Raises Unavailable if there can be none.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        path = private_folder() / f"{key(preset, os.environ, weights)}.sock"
        # where too many wait for it already, this fails at once
        connection.settimeout(_CONNECT_SECONDS)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            with locked(path.parent):
                return connection, _start_unless_there(path, connection, preset, idle)
        return connection, False
    except BaseException as error:
        connection.close()
        if isinstance(error, OSError):
            raise Unavailable(str(error)) from error
        raise


def _start_unless_there(path: Path, connection: socket.socket, preset: str, idle: float) -> bool:
    """Connect; if that fails, start a resident process first, and return whether that was so.

    The caller holds the lock.
    """
    try:
        connection.connect(str(path))
        return False
    except ConnectionRefusedError:
        path.unlink()
    except FileNotFoundError:
        pass
    with socket.socket(socket.AF_UNIX) as listener, log_of(path).open("wb") as log:
        listener.bind(str(path))
        listener.listen()
        number = listener.fileno()
        command = [sys.executable, "-m", "hqtrack.vot.resident", preset, str(number), str(idle)]
        subprocess.Popen(
            [*command, SocketFile.bound(path).state],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[number],
            start_new_session=True,
            cwd="/",
        )
        connection.connect(str(path))
        return True


def log_of(path: Path) -> Path:
    """The log of the resident process that has this socket."""
    return path.with_suffix(".log")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock on the set of sockets in this folder.

    Raises Unavailable if another process holds it for some seconds.
    """
    deadline = time.monotonic() + _LOCK_SECONDS
    with (folder / "lock").open("wb") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Unavailable(f"another process holds {folder / 'lock'}") from None
                time.sleep(0.02)
        yield


def private_folder() -> Path:
    """The folder of the sockets, which only this user may access.

    Raises Unavailable if it belongs to another user or others may access it.
    """
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    folder = Path(base) / f"hqtrack-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise Unavailable(f"{folder} is not private to you: chmod 700 it, or remove it")
    return folder


def key(preset: str, environment: Mapping[str, str], weights: Iterable[Path] = ()) -> str:
    """A hash of the settings, the interpreter, the code and the weight files.

    Raises Unavailable if the source files of this package or of the networks cannot be found.
    """
    settings = sorted(
        # the toolkit adds a colon to library paths each time
        (name, list(filter(None, value.split(os.pathsep))))
        for name, value in environment.items()
        if name.startswith(_SETTINGS) and name not in OF_A_SESSION
    )
    code = [_state(file) for package in _PACKAGES for file in _source_files(package)]
    text = json.dumps([preset, sys.executable, settings, code, list(map(_state, weights))])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _source_files(package: str) -> list[Path]:
    """The modules of a package and its subpackages; does not import them."""
    spec = find_spec(package)
    folders = (spec and spec.submodule_search_locations) or ()
    files = sorted(file for folder in folders for file in Path(folder).rglob("*.py"))
    if not files:
        raise Unavailable(
            f"the source files of {package} are missing, so a change would go unnoticed"
        )
    return files


def _state(file: Path) -> tuple[str, int, int]:
    """Path, size and time of a file; size and time are -1 if it does not exist."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return str(file), -1, -1
    return str(file), status.st_size, status.st_mtime_ns
