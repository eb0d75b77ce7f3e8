"""A resident tracker process that serves one session after another.

``hqtrack.vot.sockets`` starts ``python -m hqtrack.vot.resident PRESET DESCRIPTOR SECONDS STATE``
with a listening socket, whose file is in this STATE. The process exits after SECONDS without a
client, when its socket is gone, after a failed session, and in the middle of a session if the
process that handed over the client has died.
"""

import contextlib
import faulthandler
import os
import select
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hqtrack.presets import PRESETS
from hqtrack.signals import Ended, ended_by_signals
from hqtrack.vot.isolation import Streams, collect_output
from hqtrack.vot.process import load, serve_on
from hqtrack.vot.reception import HandedClient, Reception, write_log
from hqtrack.vot.sockets import SocketFile, Unavailable, log_of
from hqtrack.vot.talk import ALIVE, DONE, GREETS, Talk
from hqtrack.vot.wire import HANG_UP, ClientGone, Wire

if TYPE_CHECKING:
    from hqtrack.tracker import Tracker

_LAST_CALL_SECONDS = 0.2
_LOOK_SECONDS = 1.0
_BEAT_SECONDS = 1.0


class Announced(Streams):
    """Streams that announce the first message to the client, which is our hello."""

    def __init__(self, wire: Wire, error: int, printed: int, talk: Talk) -> None:
        super().__init__(wire, error, printed)
        self._talk: Talk | None = talk

    def forward(self) -> None:
        """Forward printed text; announce the hello if it comes next.

        Raises ClientGone if nobody waits for the client any more.
        """
        if self._talk is not None:
            talk, self._talk = self._talk, None
            try:
                talk.send(GREETS)
            except OSError as error:
                raise ClientGone(", and so has the process that handed it over") from error
        super().forward()


def stay(preset: str, listener: socket.socket, idle: float, state: str) -> None:
    """Serve clients until there is none for ``idle`` seconds or a session fails."""
    log = os.dup(2)
    os.set_inheritable(log, False)
    own = SocketFile(Path(listener.getsockname()), state)
    client = None
    try:
        printed = collect_output()
        reception = Reception(listener, log)
        tracker = cache(load)
        with ended_by_signals():
            while (client := _next(reception, idle, own)) is not None:
                if (status := _serve(client, PRESETS[preset].tracker, tracker, printed, log)) != 0:
                    write_log(log, f"exits after a session that failed with status {status}")
                    break
                reception.finished()
        _leave(own, log, clean=client is None)
        # serve a client that came before the socket was deleted
        while (client := reception.next(_LAST_CALL_SECONDS)) is not None:
            _serve(client, PRESETS[preset].tracker, tracker, printed, log)
    except Ended as end:
        write_log(log, str(end))
        _leave(own, log, clean=False)
    except BaseException:
        write_log(log, traceback.format_exc())
        _leave(own, log, clean=False)
        raise


def _next(reception: Reception, idle: float, own: SocketFile) -> HandedClient | None:
    """The next client; None after ``idle`` seconds, or where nobody can find our socket."""
    end = time.monotonic() + idle
    while (rest := end - time.monotonic()) > 0:
        client = reception.next(min(rest, _LOOK_SECONDS))
        if client is not None or not own.there():
            return client
    return None


def _leave(own: SocketFile, log: int, clean: bool) -> None:
    """Remove our socket, and with ``clean`` the log, which holds nothing then."""
    try:
        if own.there():
            own.remove()
            if clean:
                log_of(own.path).unlink(missing_ok=True)
    except (OSError, Unavailable) as error:
        write_log(log, f"its socket stays: {error}")


def _serve(
    client: HandedClient,
    name: str,
    tracker: Callable[[str], "Tracker"],
    printed: int,
    log: int,
) -> int:
    """Serve a client with the tracker of this name; returns the exit status."""
    over = threading.Event()
    threading.Thread(target=_leave_with, args=(client.talk, over, log), daemon=True).start()
    threading.Thread(target=_beat, args=(client.talk, over), daemon=True).start()
    try:
        source, sink, error = client.descriptors
        faulthandler.enable(file=error)
        with _session_of(client):
            channel = Announced(Wire(source, sink), error, printed, client.talk)
            status = serve_on(channel, name, tracker)
        over.set()  # before who handed over the client may leave
        with contextlib.suppress(OSError):
            client.talk.send(DONE, status)
        return status
    finally:
        over.set()
        faulthandler.disable()
        client.close()


@contextlib.contextmanager
def _session_of(client: HandedClient) -> Iterator[None]:
    """Run inside with the environment and the working directory of the client's session."""
    for variable, value in client.offer.environment.items():
        if value is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = value
    with contextlib.suppress(OSError):
        os.chdir(client.offer.folder)
    try:
        yield
    finally:
        os.chdir("/")


def _beat(talk: Talk, over: threading.Event) -> None:
    """Show that this process runs until the session is over."""
    while not over.wait(_BEAT_SECONDS):
        talk.mention(ALIVE)


def _leave_with(talk: Talk, over: threading.Event, log: int) -> None:
    """Exit if the process that handed over the client dies before the session ends."""
    with contextlib.suppress(OSError), talk.connection.dup() as connection:
        poll = select.poll()
        poll.register(connection, HANG_UP)
        poll.poll()
    if not over.is_set():
        write_log(log, "exits because the process that handed over its client has died")
        os._exit(1)


if __name__ == "__main__":
    stay(sys.argv[1], socket.socket(fileno=int(sys.argv[2])), float(sys.argv[3]), sys.argv[4])
