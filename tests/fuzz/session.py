"""Runs a script against a tracker process and tells what is wrong."""

import contextlib
import os
import re
import select
import signal
import time
from pathlib import Path

from tests.fuzz.processes import Process, disturb
from tests.fuzz.script import Expected, Object, Script, bytes_of, expect, pixels_of
from tests.helpers.residents import processes

LIMIT_SECONDS = 30.0
_STATE = re.compile(rb'@@TRAX:state "(mask:[-0-9,]+)" "confidence=([0-9.]+)" ')
_RESIDENT = "hqtrack.vot.resident"
_WITH_TRACEBACK = ("exception", "nan", "count")


class Wrong(Exception):
    """The process did something else than it has to."""


class _Line:
    """The ends of a session: sends and receives at once, so that neither side blocks the other."""

    def __init__(self, process: Process, chunk: int) -> None:
        self._process = process
        self._chunk = chunk or 1 << 16
        self._deadline = time.monotonic() + LIMIT_SECONDS
        self.received = b""
        self.open_in = self.open_out = True
        os.set_blocking(process.sink, False)
        os.set_blocking(process.source, False)

    def move(self, data: bytes, until: int | None) -> None:
        """Send the data; receive until there are so many messages, or, with None, to the end."""
        while data or (self.open_in and not self._enough(until)):
            sinks = [self._process.sink] if data and self.open_out else []
            sources = [self._process.source] if self.open_in else []
            if not sinks and not sources:
                return
            ready = select.select(sources, sinks, [], max(0.0, self._deadline - time.monotonic()))
            if not ready[0] and not ready[1]:
                raise Wrong("hang: no answer, and nothing is read")
            if ready[1]:
                try:
                    data = data[os.write(self._process.sink, data[: self._chunk]) :]
                except OSError:
                    data = b""
            if ready[0]:
                self._receive()

    def _receive(self) -> None:
        try:
            part = os.read(self._process.source, 1 << 16)
        except ConnectionError:
            part = b""
        self.received += part
        self.open_in = bool(part)

    def _enough(self, until: int | None) -> bool:
        return until is not None and len(self.messages()) >= until

    def messages(self) -> list[bytes]:
        """The messages so far."""
        return [line for line in self.received.split(b"\n")[:-1] if line.startswith(b"@@TRAX:")]

    def hang_up(self) -> None:
        """Close the way to the process."""
        if self.open_out:
            self.open_out = False
            self._process.close_sink()

    def turn_deaf(self) -> None:
        """Close the way from the process."""
        self.open_in = False
        self._process.close_source()


def check(script: Script, images: Path, sockets: Path) -> None:
    """Run a script; raises Wrong where the process does not do what it has to."""
    expected = expect(script)
    kept = [disturb(sockets, how) for how in script.hostile]
    process = Process(script, sockets)
    line = _Line(process, script.chunk)
    try:
        _perform(script, str(images), process, line)
        line.move(b"", None)
        status = process.status(LIMIT_SECONDS)
        if status is None:
            raise Wrong("hang: the process does not end")
        _judge(script, expected, line.messages(), status)
        _judge_errors(script, expected, process.errors(), line.received)
        if script.way == "resident" and status == 0 and not processes(sockets, _RESIDENT):
            raise Wrong("resident: it left after a session that went well")
    except BaseException:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(process.pid, signal.SIGKILL)
            os.waitpid(process.pid, 0)
        raise
    finally:
        for connection in kept:
            if connection is not None:
                connection.close()
        process.close()


def _perform(script: Script, images: str, process: Process, line: _Line) -> None:
    """Do what the script says, up to the step with which the process has to end."""
    line.move(b"", 1)
    so_far, index = expect(script._replace(steps=())), 0
    for index, step in enumerate(script.steps):
        kind, value = step
        so_far = expect(script._replace(steps=script.steps[: index + 1]))
        if kind == "pause":
            time.sleep(float(str(value)))
        elif kind == "deaf":
            line.turn_deaf()
        elif kind == "signal":
            time.sleep(0.05)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, int(str(value)))
        if kind in ("close", "half"):
            line.move(bytes_of(step, images), 0)
            break
        wanted = 0 if script.eager else 1 + sum(map(len, so_far.answers))
        line.move(bytes_of(step, images), wanted)
        if so_far.ended and not script.eager:
            break
    last = script.steps[index][0] if script.steps else "close"
    if last in ("close", "half") or not so_far.ended:
        line.hang_up()
    line.move(b"", None)
    line.hang_up()


def _judge(script: Script, expected: Expected, messages: list[bytes], status: int) -> None:
    """Compare what came with what has to come."""
    if not messages or not messages[0].startswith(b'@@TRAX:hello "trax.name=FirstMask" '):
        raise Wrong(f"hello: {messages[:1]}")
    states = [message for message in messages if message.startswith(b"@@TRAX:state")]
    quits = [message for message in messages if message.startswith(b"@@TRAX:quit")]
    if len(messages) != 1 + len(states) + len(quits):
        raise Wrong(f"messages: {messages}")
    wanted = [thing for answer in expected.answers for thing in answer]
    if any(kind == "deaf" for kind, _ in script.steps):
        wanted = wanted[: len(states)]
    if list(map(_object, states)) != wanted:
        raise Wrong(f"answers: {len(states)} instead of {len(wanted)}, or others")
    if bool(quits) != expected.reason or any(b"trax.reason=" not in line for line in quits):
        raise Wrong(f"reason: {quits}, expected {expected.reason}")
    if status != expected.status:
        raise Wrong(f"status: {status} instead of {expected.status}")


def _object(state: bytes) -> Object:
    found = _STATE.fullmatch(state)
    if found is None:
        raise Wrong(f"state: {state[:200]!r}")
    return Object(pixels_of(found[1].decode()) or frozenset(), float(found[2]))


def _judge_errors(script: Script, expected: Expected, errors: str, received: bytes) -> None:
    """Look at what was printed."""
    if script.merged:
        errors = received.decode("utf-8", "backslashreplace")
    if "Fatal Python error" in errors:
        raise Wrong(f"crash: {errors[-2000:]}")
    planned = script.fault in _WITH_TRACEBACK and expected.status == 1
    if "Traceback" in errors and not planned:
        raise Wrong(f"traceback: {errors[-2000:]}")
    if expected.status in (1, 7) and "hqtrack.vot: " not in errors:
        raise Wrong("silence: no reason on standard error")
