"""Hands a client over to a resident process, which has already loaded its networks.

The process that the toolkit starts for each sequence finds the resident process, or starts one. It
sends it its three standard descriptors over a Unix socket and waits for the end of the session. To
be fast, this imports only the standard library.

A resident process may be stopped, hang or die at any moment. Each of its messages has to come
within a time, and as long as the client has received nothing, the tracker can be loaded here.
"""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hqtrack.environment import OF_A_SESSION
from hqtrack.signals import Ended
from hqtrack.vot.sockets import Unavailable, connect
from hqtrack.vot.talk import (
    BUSY,
    DONE,
    GO,
    GREETS,
    READY,
    TAKEN,
    Garbled,
    Message,
    Offer,
    Talk,
)

_PATIENCE_SECONDS = 3.0
_REPLY_SECONDS = 15.0
_ALIVE_SECONDS = 30.0
_GRACE_SECONDS = 5.0
_LAST_WORDS_SECONDS = 1.0
_ATTEMPTS = 3
_WATCHDOG_SECONDS = 0.15
_STARTED = time.monotonic()


def hand_over(preset: str, idle: float, weights: Sequence[Path] = ()) -> int:
    """Let a resident process of this preset serve our client; return its exit status.

    A resident process that was started before a file of ``weights`` changed is not used. Raises
    Unavailable if there is none; the client has then received nothing.
    """
    _let_watchdog_wake()
    deadline = time.monotonic() + _PATIENCE_SECONDS
    attempts = 0
    while True:
        connection, fresh = connect(preset, idle, weights)
        with connection:
            talk = Talk(connection)
            # one that starts has to import what it needs first
            reply = _offer(talk, _ALIVE_SECONDS if fresh else _REPLY_SECONDS)
            if reply is not None and reply.word == TAKEN:
                return _Session(talk, reply.number).wait()
        # one that disconnects was about to exit
        attempts += reply is None
        if attempts == _ATTEMPTS:
            raise Unavailable("it exits immediately")
        if time.monotonic() > deadline:
            raise Unavailable("it serves another client")
        time.sleep(0.1)


def _offer(talk: Talk, seconds: float) -> Message | None:
    """What the resident process replies to the offer of our client, within so many seconds.

    After TAKEN the client is its own; None if it has disconnected. Raises Unavailable.
    """
    session = {str(name): os.environ.get(name) for name in OF_A_SESSION}
    try:
        folder = os.getcwd()
    except OSError:
        folder = "/"
    try:
        reply = talk.receive(seconds)
        if reply == (READY, 0):
            talk.offer(Offer(session, folder), [0, 1, 2])
            reply = talk.receive(_REPLY_SECONDS)
        if reply is None or reply == (BUSY, 0):
            return reply
        if reply.word != TAKEN or reply.number <= 1:  # no process that could be ours
            raise Garbled(f"{reply.word} {reply.number}")
        talk.send(GO)
        return reply
    except TimeoutError as error:
        raise Unavailable(f"it does not reply within {seconds:.0f} s") from error
    except Garbled as error:
        raise Unavailable(f"what listens there sends {error}") from error
    except OSError:
        return None


def _let_watchdog_wake() -> None:
    """Wait until the toolkit's timeout works.

    The toolkit applies no timeout to a request that it sends within the first tenth of a second of
    our process: its counter is still zero, which it takes for expired (vot-toolkit,
    `TrackerProcess`).
    """
    time.sleep(max(0.0, _STARTED + _WATCHDOG_SECONDS - time.monotonic()))


class _Session:
    """A session of our client with the resident process of this id."""

    def __init__(self, talk: Talk, resident: int) -> None:
        self._talk = talk
        self._resident = resident
        self._greeted = False
        self._alone_since: float | None = None

    def wait(self) -> int:
        """Wait for the end of the session; return its exit status.

        A signal to us also ends the resident process. Raises Unavailable if the resident process
        dies or stops before it greets the client.
        """
        try:
            while (message := self._talk.receive(_ALIVE_SECONDS)) is not None:
                if message.word == DONE:
                    return message.number
                self._greeted = self._greeted or message.word == GREETS
                if self._client_gone():
                    self._kill()
                    return self._failed("does not notice that the client has disconnected")
            problem = "ended unexpectedly"
        except Ended:
            self._end()
            raise
        except (TimeoutError, Garbled) as error:
            problem = f"sent {error}"
            if isinstance(error, TimeoutError):
                problem = f"has stopped: no sign of life for {_ALIVE_SECONDS:.0f} s"
            self._kill()
            self._drain()
        if not self._greeted:
            raise Unavailable(f"it {problem}")
        return self._failed(problem)

    def _failed(self, problem: str) -> int:
        print(f"hqtrack.vot: the resident process {problem}", file=sys.stderr)
        return 1

    def _client_gone(self) -> bool:
        """Whether the client has closed both directions for some time.

        The resident process notices that, too, unless it hangs.
        """
        poll = select.poll()
        poll.register(0, 0)
        poll.register(1, 0)
        if len(poll.poll(0)) < 2:
            self._alone_since = None
            return False
        if self._alone_since is None:
            self._alone_since = time.monotonic()
        return time.monotonic() - self._alone_since > _GRACE_SECONDS

    def _end(self) -> None:
        """End the resident process; it may tell the client why, if it can."""
        with contextlib.suppress(OSError):
            os.kill(self._resident, signal.SIGTERM)
        deadline = time.monotonic() + _LAST_WORDS_SECONDS
        with contextlib.suppress(TimeoutError, Garbled):
            while (message := self._talk.receive(deadline - time.monotonic())) is not None:
                if message.word == DONE:
                    return
        self._kill()

    def _kill(self) -> None:
        with contextlib.suppress(OSError):
            os.kill(self._resident, signal.SIGKILL)

    def _drain(self) -> None:
        """Take what it said before it was killed; it may have greeted the client."""
        with contextlib.suppress(TimeoutError, Garbled):
            while (message := self._talk.receive(_LAST_WORDS_SECONDS)) is not None:
                self._greeted = self._greeted or message.word == GREETS
