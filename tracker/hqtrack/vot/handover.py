"""Handing a client over to a resident tracker, which has its networks loaded already.

What the toolkit starts for each sequence only finds the resident process, starting it if there is
none, sends it its three standard descriptors over a Unix socket and waits for the end. None of
this imports more than the standard library, to be quick.

The socket lies in a folder of the user's own, under a name made of all that the tracker depends on.
The resident answers BUSY and hangs up; or TAKEN with its process id and, at the end of the session,
DONE with the exit status.
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

IDLE_SECONDS = 60.0
"""How long a resident tracker waits for the next client."""

BUSY, TAKEN, DONE = "busy", "taken", "done"

_SETTINGS = ("HQTRACK_", "CUDA", "NVIDIA", "TORCH", "PYTORCH", "PYTHON", "OMP_", "MKL_", "LD_")
_OF_A_SESSION = ("HQTRACK_WORKSPACE",)
_PACKAGES = ("hqtrack", "hqsam", "vmos")
_PATIENCE_SECONDS = 3.0
_GRACE_SECONDS = 5.0
_ATTEMPTS = 3
_WATCHDOG_SECONDS = 0.15
_STARTED = time.monotonic()


class Unavailable(Exception):
    """There is no resident tracker to be had; the message says why."""


class Message(NamedTuple):
    """What a resident says: one of BUSY, TAKEN and DONE, and a number."""

    word: str
    number: int


def idle_seconds(environment: Mapping[str, str], default: float) -> float:
    """How long a resident should wait, by HQTRACK_RESIDENT; with 0 there should be none."""
    try:
        return float(environment.get("HQTRACK_RESIDENT", default))
    except ValueError:
        return default


def hand_over(preset: str, idle: float, weights: Sequence[Path] = ()) -> int:
    """Let a resident tracker of this preset serve our client; return its exit status.

    A resident that was loaded before one of the files of ``weights`` changed is another one.
    Raises Unavailable, and then nothing was said to the client.
    """
    _let_watchdog_wake()
    session = {name: os.environ.get(name) for name in _OF_A_SESSION}
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
            # it was about to leave
            attempts += 1
        if attempts == _ATTEMPTS:
            raise Unavailable("it ends at once")
        if time.monotonic() > deadline:
            raise Unavailable("it serves another client")
        time.sleep(0.1)


def _let_watchdog_wake() -> None:
    """Keep the toolkit from missing that we hang.

    It watches over no request that it sends within the first tenth of a second of our life: its
    counter is zero until then, which it takes for expired (vot-toolkit, `TrackerProcess`).
    """
    time.sleep(max(0.0, _STARTED + _WATCHDOG_SECONDS - time.monotonic()))


def receive(connection: socket.socket) -> Message | None:
    """The next message; None where the other side hung up."""
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
    """Wait for the end of the session; who ends us ends the resident, which may not listen."""

    def stop(number: int, _: object) -> NoReturn:
        os.kill(resident, signal.SIGKILL)
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    poll.register(0, 0)
    if connection.fileno() not in dict(poll.poll()):
        # the client is gone, which the resident notices, too, unless it hangs
        poll.unregister(0)
        if not poll.poll(1000 * _GRACE_SECONDS):
            stop(0, None)
    message = receive(connection)
    if message is None:
        print("hqtrack.vot: the resident tracker came to a sudden end", file=sys.stderr)
        return 1
    return message.number


def _connect(preset: str, idle: float, weights: Sequence[Path] = ()) -> socket.socket:
    """A connection to the resident of this preset, started if there is none."""
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
    """Connect, after starting a resident if that fails; the lock has to be held."""
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
    """Hold the lock on which sockets are in this folder."""
    with (folder / "lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def private_folder() -> Path:
    """The folder of the sockets, which nobody else may look into.

    Raises Unavailable where it belongs to somebody else or is open to others.
    """
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    folder = Path(base) / f"hqtrack-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise Unavailable(f"{folder} is not a folder of yours alone: chmod 700 it, or remove it")
    return folder


def _key(preset: str, environment: Mapping[str, str], weights: Iterable[Path] = ()) -> str:
    """A name that changes with the settings, the interpreter, the code and the weights' files.

    Raises Unavailable where the source files of this package or the networks are not found.
    """
    settings = sorted(
        # the toolkit makes the paths of libraries longer by a colon each time
        (name, list(filter(None, value.split(os.pathsep))))
        for name, value in environment.items()
        if name.startswith(_SETTINGS) and name not in _OF_A_SESSION
    )
    code = [_state(file) for package in _PACKAGES for file in _source_files(package)]
    text = json.dumps([preset, sys.executable, settings, code, list(map(_state, weights))])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _source_files(package: str) -> list[Path]:
    """The modules of a package and of those in it; the package is found, not imported."""
    spec = find_spec(package)
    folders = (spec and spec.submodule_search_locations) or ()
    files = sorted(file for folder in folders for file in Path(folder).rglob("*.py"))
    if not files:
        raise Unavailable(f"no source file of {package} is found, so a change would go unnoticed")
    return files


def _state(file: Path) -> tuple[str, int, int]:
    """Path, size and time of a file; -1 for both where it is not there."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return str(file), -1, -1
    return str(file), status.st_size, status.st_mtime_ns
