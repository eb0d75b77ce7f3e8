"""How a resident process takes in clients that are handed over; only the standard library."""

import contextlib
import os
import queue
import socket
import struct
import threading
from typing import NamedTuple

from hqtrack.vot.talk import BUSY, GO, READY, TAKEN, Garbled, Offer, Talk, close_all, receive_offer

_OFFER_SECONDS = 5.0


class HandedClient(NamedTuple):
    """A handed-over client: the talk with the process that has it, its descriptors 0, 1 and 2, and
    its session.
    """

    talk: Talk
    descriptors: list[int]
    offer: Offer

    def close(self) -> None:
        """Close the connection and the descriptors."""
        close_all(self.descriptors)
        # a thread waits for the connection
        with contextlib.suppress(OSError):
            self.talk.connection.shutdown(socket.SHUT_RDWR)
        self.talk.connection.close()


class Reception:
    """Accepts one client at a time and rejects the others, in separate threads.

    Who connects and says nothing, or something unintelligible, is not waited for and takes nobody's
    place.
    """

    def __init__(self, listener: socket.socket, log: int) -> None:
        """``log``: the descriptor to which it writes what it could not use."""
        self._listener = listener
        self._log = log
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
            threading.Thread(target=self._meet, args=(connection,), daemon=True).start()

    def _meet(self, connection: socket.socket) -> None:
        try:
            if _user_of(connection) != os.getuid() or not self._admit(Talk(connection)):
                connection.close()
        except (OSError, Garbled) as error:
            connection.close()
            write_log(self._log, f"a connection was of no use: {error or type(error).__name__}")

    def _admit(self, talk: Talk) -> bool:
        """Take the client that is offered, if there is room; whether it was taken."""
        talk.send(READY)
        offer, descriptors = receive_offer(talk.connection, _OFFER_SECONDS)
        client = HandedClient(talk, descriptors, offer)
        if not self._free.acquire(blocking=False):
            with contextlib.closing(client):
                talk.send(BUSY)
            return False
        try:
            talk.send(TAKEN, os.getpid())
            reply = talk.receive(_OFFER_SECONDS)
            if reply is None or reply.word != GO:
                raise Garbled("who offered a client did not wait for it")
        except BaseException:
            self._free.release()
            client.close()
            raise
        self._taken.put(client)
        return True


def write_log(log: int, text: str) -> None:
    """Write a line to a log, if there is room on the disk."""
    with contextlib.suppress(OSError):
        os.write(log, f"hqtrack.vot.resident: {text}\n".encode("utf-8", "backslashreplace"))


def _user_of(connection: socket.socket) -> int:
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    _, user, _ = struct.unpack("3i", credentials)
    return int(user)
