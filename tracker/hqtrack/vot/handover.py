"""Hands a client over to a resident process, which has already loaded its networks.

The process that the toolkit starts for each sequence finds the resident process, or starts one. It
sends it its three standard descriptors over a Unix socket and waits for the end of the session. To
be fast, this imports only the standard library.

The socket is in a private folder of the user. Its name is a hash of everything that affects the
tracker. The resident process replies BUSY and disconnects, or it replies TAKEN with its process id
and, at the end of the session, DONE with the exit status.
"""

import fcntl
import hashlib
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, NoReturn

from hqtrack.environment import OF_A_SESSION

BUSY, TAKEN, DONE = "busy", "taken", "done"

_SETTINGS = ("HQTRACK_", "CUDA", "NVIDIA", "TORCH", "PYTORCH", "PYTHON", "OMP_", "MKL_", "LD_")
_PACKAGES = ("hqtrack", "hqsam", "vmos")
_PATIENCE_SECONDS = 3.0
_GRACE_SECONDS = 5.0
_ATTEMPTS = 3
_WATCHDOG_SECONDS = 0.15
_STARTED = time.monotonic()


class Unavailable(Exception):
    """No resident process can serve the client; the message says why."""


class Message(NamedTuple):
    """A message of a resident process: one of BUSY, TAKEN and DONE, and a number."""

    word: str
    number: int


def hand_over(preset: str, idle: float, weights: Sequence[Path] = ()) -> int:
    """Let a resident process of this preset serve our client; return its exit status.

    A resident process that was started before a file of ``weights`` changed is not used. Raises
    Unavailable if there is none; the client has then received nothing.
    """
    _let_watchdog_wake()
    session = {name: os.environ.get(name) for name in OF_A_SESSION}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    attempts = 0
    while True:
        with _connect(preset, idle, weights) as connection:
            try:
                socket.send_fds(connection, [json.dumps(session).encode() + b"\n"], [0, 1, 2])
                message = receive(connection)
            except OSError:
                message = None
            if message is not None and message.word == TAKEN:
                return _wait(connection, message.number)
        if message is None:
            # it was about to exit
            attempts += 1
        if attempts == _ATTEMPTS:
            raise Unavailable("it exits immediately")
        if time.monotonic() > deadline:
            raise Unavailable("it serves another client")
        time.sleep(0.1)


def _let_watchdog_wake() -> None:
    """Wait until the toolkit's timeout works.

    The toolkit applies no timeout to a request that it sends within the first tenth of a second of
    our process: its counter is still zero, which it takes for expired (vot-toolkit,
    `TrackerProcess`).
    """
    time.sleep(max(0.0, _STARTED + _WATCHDOG_SECONDS - time.monotonic()))


def receive(connection: socket.socket) -> Message | None:
    """The next message; None if the other side has disconnected."""
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            return None
        line += byte
    word, number = line.decode().split()
    return Message(word, int(number))


def send(connection: socket.socket, word: str, number: int = 0) -> None:
    """Send a message."""
    connection.sendall(f"{word} {number}\n".encode())


def _wait(connection: socket.socket, resident: int) -> int:
    """Wait for the end of the session; a signal to us also kills the resident process."""

    def stop(number: int, _: object) -> NoReturn:
        os.kill(resident, signal.SIGKILL)
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    poll.register(0, 0)
    if connection.fileno() not in dict(poll.poll()):
        # the client has disconnected; the resident process notices this, too, unless it hangs
        poll.unregister(0)
        if not poll.poll(1000 * _GRACE_SECONDS):
            stop(0, None)
    message = receive(connection)
    if message is None:
        print("hqtrack.vot: the resident process ended unexpectedly", file=sys.stderr)
        return 1
    return message.number


def _connect(preset: str, idle: float, weights: Sequence[Path] = ()) -> socket.socket:
    """A connection to the resident process of this preset; starts one if there is none."""
    try:
        path = private_folder() / f"{_key(preset, os.environ, weights)}.sock"
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            with locked(path.parent):
                _start_unless_there(path, connection, preset, idle)
    except OSError as error:
        raise Unavailable(str(error)) from error
    return connection


def _start_unless_there(path: Path, connection: socket.socket, preset: str, idle: float) -> None:
    """Connect; if that fails, start a resident process first. The caller holds the lock."""
    try:
        connection.connect(str(path))
        return
    except ConnectionRefusedError:
        path.unlink()
    except FileNotFoundError:
        pass
    with socket.socket(socket.AF_UNIX) as listener, path.with_suffix(".log").open("wb") as log:
        listener.bind(str(path))
        listener.listen()
        command = [
            sys.executable,
            "-m",
            "hqtrack.vot.resident",
            preset,
            str(listener.fileno()),
            str(idle),
        ]
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
            start_new_session=True,
            cwd="/",
        )
        connection.connect(str(path))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock on the set of sockets in this folder."""
    with (folder / "lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
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


def _key(preset: str, environment: Mapping[str, str], weights: Iterable[Path] = ()) -> str:
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
