"""Tracker processes for the fuzzer, started in several ways, and those who disturb them."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hqtrack.baseline import FirstMask
from hqtrack.tracker import Tracked
from hqtrack.vot.process import load, main
from tests.fuzz.script import Script

IDLE_SECONDS = "20"
_ARGUMENTS = ["--preset", "first-mask"]


class Faulty(FirstMask):
    """Goes wrong when it tracks for the second time."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self._fault = fault
        self._left = 2

    def track(self, image: Any) -> Tracked:
        self._left -= 1
        if self._left:
            return super().track(image)
        masks, confidence = super().track(image)
        match self._fault:
            case "exception":
                raise RuntimeError("a planned\n'fault'")
            case "memory":
                raise MemoryError("planned")
            case "exit":
                sys.exit(7)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "nan":
                confidence = np.full_like(confidence, np.nan)
            case "count":
                masks = np.concatenate([masks, masks])
            case "bar":
                print("\r 50%", end="", flush=True)
                print("@@TRAX:quit", file=sys.stderr, end="")
            case "print":
                os.write(1, b"@@TRAX:quit \n")
        return Tracked(masks, confidence)


class Process:
    """A tracker process and its ends: ``sink`` to it, ``source`` from it, ``errors`` its standard
    error.
    """

    def __init__(self, script: Script, sockets: Path) -> None:
        """Start it; a resident process keeps its socket in the folder ``sockets``."""
        self._script = script
        self._errors = os.memfd_create("errors")
        if script.way == "socket":
            self.pid, self.sink = self._on_socket()
            self.source = os.dup(self.sink)
            return
        child_in, self.sink = os.pipe()
        self.source, child_out = os.pipe()
        ends = child_in, child_out, child_out if script.merged else self._errors
        environment = {
            "TRAX": "1",
            "XDG_RUNTIME_DIR": str(sockets),
            "HQTRACK_RESIDENT": IDLE_SECONDS if script.way == "resident" else "0",
        }
        if script.way == "real":
            command = [sys.executable, "-m", "hqtrack.vot", *_ARGUMENTS]
            self.pid = subprocess.Popen(
                command,
                stdin=child_in,
                stdout=child_out,
                stderr=ends[2],
                env={**os.environ, **environment},
            ).pid
        else:
            self.pid = _forked(script, ends, environment)
        os.close(child_in)
        os.close(child_out)

    def _on_socket(self) -> tuple[int, int]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = str(listener.getsockname()[1])
            nothing = os.open(os.devnull, os.O_RDWR)
            pid = _forked(
                self._script, (nothing, nothing, self._errors), {"TRAX": "1", "TRAX_SOCKET": port}
            )
            os.close(nothing)
            listener.settimeout(20)
            connection, _ = listener.accept()
            return pid, connection.detach()

    def errors(self) -> str:
        """What came on standard error, unless it went the way of the answers."""
        size = os.fstat(self._errors).st_size
        return os.pread(self._errors, size, 0).decode("utf-8", "backslashreplace")

    def status(self, seconds: float) -> int | None:
        """The exit status, negative for a signal; None where it does not end in time."""
        deadline = time.monotonic() + seconds
        pause = 0.0005
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline:
                return None
            time.sleep(pause)
            pause = min(0.02, 2 * pause)

    def close_sink(self) -> None:
        """Close the way to it."""
        if self._script.way == "socket":
            # the way back is the same socket
            with (
                socket.socket(fileno=os.dup(self.sink)) as connection,
                contextlib.suppress(OSError),
            ):
                connection.shutdown(socket.SHUT_WR)
        if self.sink >= 0:
            os.close(self.sink)
            self.sink = -1

    def close_source(self) -> None:
        """Close the way from it."""
        if self.source >= 0:
            os.close(self.source)
            self.source = -1

    def close(self) -> None:
        """Close all ends that are open."""
        if self.sink >= 0:
            self.close_sink()
        self.close_source()
        os.close(self._errors)


def _forked(script: Script, ends: tuple[int, int, int], environment: dict[str, str]) -> int:
    """A child that becomes the tracker process: everything is loaded in it already."""
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return pid
    status = 99
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        for descriptor, end in enumerate(ends):
            os.dup2(end, descriptor)
        os.closerange(3, 256)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        os.environ.update(environment)
        build: Callable[[str], Any] = load
        if script.fault:
            build = lambda name: Faulty(script.fault)  # noqa: E731
        status = main(_ARGUMENTS, build)
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def disturb(sockets: Path, how: str) -> socket.socket | None:
    """Do something to the socket of the resident process, if there is one; what stays open."""
    paths = list(sockets.glob("*/*.sock"))
    if not paths:
        return None
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    offer = b'[{"HQTRACK_WORKSPACE": null}, "/"]\n'
    with contextlib.suppress(OSError):
        connection.connect(str(paths[0]))
        match how:
            case "garbage":
                connection.sendall(b"\xff\0 garbage\n")
            case "no descriptors":
                connection.sendall(offer)
            case "two descriptors":
                socket.send_fds(connection, [offer], [0, 1])
            case "other variables":
                socket.send_fds(connection, [b'[{"PATH": "/"}, "/"]\n'], [0, 1, 2])
            case "no end":
                socket.send_fds(connection, [offer[:-1]], [0, 1, 2])
            case "not waiting" | "no go":
                with open(os.devnull, "r+b") as nothing:
                    socket.send_fds(connection, [offer], [nothing.fileno()] * 3)
                if how == "no go":
                    connection.recv(64)
                    connection.recv(64)
                    connection.sendall(b"stop 0\n")
    if how in ("silent", "no end"):
        return connection
    connection.close()
    return None
