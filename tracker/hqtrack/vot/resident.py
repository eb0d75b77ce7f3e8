"""A resident tracker process that serves one session after another.

``hqtrack.vot.handover`` starts ``python -m hqtrack.vot.resident PRESET DESCRIPTOR SECONDS`` with a
listening socket. The process exits after SECONDS without a client, after a failed session, and in
the middle of a session if the process that handed over the client has died.
"""

import contextlib
import faulthandler
import json
import os
import queue
import socket
import struct
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hqtrack.presets import PRESETS
from hqtrack.vot.handover import BUSY, DONE, TAKEN, locked, send
from hqtrack.vot.isolation import adopt, collect_output
from hqtrack.vot.process import load, serve_on

if TYPE_CHECKING:
    from hqtrack.tracker import Tracker

_LAST_CALL_SECONDS = 0.2
_MESSAGE_BYTES = 4096


class HandedClient(NamedTuple):
    """A handed-over client: its connection, its descriptors 0, 1 and 2, and its environment."""

    connection: socket.socket
    descriptors: list[int]
    environment: dict[str, str | None]

    def close(self) -> None:
        """Close the connection and the descriptors."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        # a thread waits for the connection
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


class Reception:
    """Accepts one client at a time and rejects the others, in a separate thread."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._taken: queue.Queue[HandedClient] = queue.Queue()
        self._free = threading.Semaphore()
        threading.Thread(target=self._receive, daemon=True).start()

    def next(self, timeout: float) -> HandedClient | None:
        """The next client; None if there is none for ``timeout`` seconds."""
        try:
            return self._taken.get(timeout=timeout)
        except queue.Empty:
            return None

    def finished(self) -> None:
        """Allow another client after the last one has been served."""
        self._free.release()

    def _receive(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with contextlib.suppress(OSError, ValueError):
                self._admit(connection)

    def _admit(self, connection: socket.socket) -> None:
        if _user_of(connection) != os.getuid():
            connection.close()
            return
        data, descriptors, _, _ = socket.recv_fds(connection, _MESSAGE_BYTES, 3)
        if not self._free.acquire(blocking=False):
            send(connection, BUSY)
            HandedClient(connection, descriptors, {}).close()
            return
        client = HandedClient(connection, descriptors, json.loads(data))
        send(connection, TAKEN, os.getpid())
        self._taken.put(client)


def _user_of(connection: socket.socket) -> int:
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, user, _ = struct.unpack("3i", credentials)
    return int(user)


def stay(preset: str, listener: socket.socket, idle: float) -> None:
    """Serve clients until there is none for ``idle`` seconds or a session fails."""
    printed = collect_output()
    reception = Reception(listener)
    path = Path(listener.getsockname())
    tracker = cache(load)
    while (client := reception.next(idle)) is not None:
        if _serve(client, PRESETS[preset].tracker, tracker, printed) != 0:
            break
        reception.finished()
    with locked(path.parent):
        path.unlink(missing_ok=True)
        if client is None:
            path.with_suffix(".log").unlink(missing_ok=True)
    # serve a client that came before the socket was deleted
    while (client := reception.next(_LAST_CALL_SECONDS)) is not None:
        _serve(client, PRESETS[preset].tracker, tracker, printed)


def _serve(
    client: HandedClient, name: str, tracker: Callable[[str], "Tracker"], printed: int
) -> int:
    """Serve a client with the tracker of this name; returns the exit status."""
    over = threading.Event()
    threading.Thread(target=_leave_with, args=(client.connection, over), daemon=True).start()
    for variable, value in client.environment.items():
        if value is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = value
    protocol_in, protocol_out, error = client.descriptors
    try:
        status = serve_on(adopt(protocol_in, protocol_out, error, printed), name, tracker)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    over.set()
    faulthandler.disable()
    with contextlib.suppress(OSError):
        send(client.connection, DONE, status)
    client.close()
    return status


def _leave_with(connection: socket.socket, over: threading.Event) -> None:
    """Exit if the process that handed over the client dies before the session ends."""
    with contextlib.suppress(OSError):
        connection.recv(1)
    if not over.is_set():
        os._exit(1)


if __name__ == "__main__":
    stay(sys.argv[1], socket.socket(fileno=int(sys.argv[2])), float(sys.argv[3]))
