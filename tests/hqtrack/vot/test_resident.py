"""Faults of the resident process and of those who talk to it, with real processes."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from hqtrack.vot import handover
from hqtrack.vot.handover import hand_over
from hqtrack.vot.sockets import Unavailable, private_folder
from hqtrack.vot.talk import DONE, GO, GREETS, READY, TAKEN, Offer, Talk, receive_offer
from tests.helpers.residents import processes

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = {
    "PYTHONPATH": f"{ROOT / 'tracker'}:{ROOT / 'models'}",
    "HQTRACK_RESIDENT": "60",
    "TRAX": "1",
}
OFFER = b'[{"HQTRACK_WORKSPACE": null}, "/"]\n'


@pytest.fixture
def requests(tmp_path: Path) -> str:
    """A session of two frames with one object."""
    image = tmp_path / "a.png"
    cv2.imwrite(str(image), np.zeros((20, 30, 3), np.uint8))
    frame = f'@@TRAX:frame "file://{image}"\n'
    return f'@@TRAX:initialize "mask:4,2,8,4,0,32" \n{frame}{frame}@@TRAX:quit \n'


def run(requests: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A session of a process as the toolkit starts it."""
    return subprocess.run(
        [sys.executable, "-m", "hqtrack.vot", "--preset", "first-mask"],
        input=requests,
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRONMENT, **environment},
    )


def check_answered(ended: subprocess.CompletedProcess[str]) -> None:
    states = [line for line in ended.stdout.splitlines() if line.startswith("@@TRAX:state")]
    assert states == ['@@TRAX:state "mask:4,2,8,4,0,32" "confidence=1.0" '] * 2, ended.stderr
    assert ended.stdout.count("@@TRAX:hello") == 1
    assert ended.returncode == 0


def residents(sockets: Path) -> list[int]:
    return processes(sockets, "hqtrack.vot.resident")


@contextlib.contextmanager
def stopped(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@pytest.mark.slow
def test_a_stopped_resident_is_not_waited_for(sockets: Path, requests: str) -> None:
    check_answered(run(requests))
    (resident,) = residents(sockets)
    with stopped(resident):
        ended = run(requests)
        check_answered(ended)
        assert "does not reply within" in ended.stderr
    # what was offered to it meanwhile is not served again, and it serves as before
    ended = run(requests)
    check_answered(ended)
    assert ended.stderr == ""
    assert residents(sockets) == [resident]


@pytest.mark.slow
def test_connections_that_are_of_no_use_take_nobodys_place(sockets: Path, requests: str) -> None:
    check_answered(run(requests))
    (resident,) = residents(sockets)
    (path,) = sockets.glob("*/*.sock")
    before = len(os.listdir(f"/proc/{resident}/fd"))
    kept = []
    for line, descriptors in ((b"", 0), (b"\xff", 3), (b"{}\n", 3), (OFFER, 2), (OFFER[:-1], 3),
                              (b'[{"PATH": "/x"}, "/"]\n', 3), (b"x" * 100_000, 0)):  # fmt: skip
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(5)
        connection.connect(str(path))
        with contextlib.suppress(OSError):
            if line:
                socket.send_fds(connection, [line], [0] * descriptors)
        kept.append(connection)
    for _ in range(2):
        ended = run(requests)
        check_answered(ended)
        assert ended.stderr == ""
    for connection in kept:
        connection.close()
    assert residents(sockets) == [resident]
    deadline = time.monotonic() + 60
    while len(os.listdir(f"/proc/{resident}/fd")) > before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(os.listdir(f"/proc/{resident}/fd")) == before
    assert "a connection was of no use" in path.with_suffix(".log").read_text()


@pytest.mark.slow
def test_who_loses_its_socket_leaves_the_next_ones_alone(sockets: Path, requests: str) -> None:
    check_answered(run(requests))
    (old,) = residents(sockets)
    (path,) = sockets.glob("*/*.sock")
    path.unlink()
    check_answered(run(requests))
    deadline = time.monotonic() + 60
    while old in residents(sockets) and time.monotonic() < deadline:
        time.sleep(0.1)
    (new,) = residents(sockets)
    assert new != old
    assert path.is_socket()
    check_answered(run(requests))
    assert residents(sockets) == [new]


@pytest.mark.slow
def test_two_at_once_start_one_resident(sockets: Path, requests: str) -> None:
    command = [sys.executable, "-m", "hqtrack.vot", "--preset", "first-mask"]
    started = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **ENVIRONMENT},
        )
        for _ in range(3)
    ]
    for process in started:
        out, error = process.communicate(requests)
        check_answered(subprocess.CompletedProcess(command, process.returncode, out, error))
    assert len(residents(sockets)) == 1


def heed_signals() -> None:
    """What a shell or nohup runs in the background ignores these, and so do its children."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("resident", ["60", "0"])
def test_a_signal_leaves_its_reason(sockets: Path, resident: str, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "hqtrack.vot", "--preset", "first-mask"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **ENVIRONMENT, "HQTRACK_RESIDENT": resident},
        preexec_fn=heed_signals,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("@@TRAX:hello")
        process.send_signal(number)
        assert process.wait() == 128 + number
        # a resident process that serves it is told by SIGTERM
        told = number.name if resident == "0" else "SIGTERM"
        assert process.stdout.read() == f'@@TRAX:quit "trax.reason=ended by {told}" \n'
        assert f"ended by {number.name}" in process.stderr.read()


@pytest.fixture
def listener(sockets: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Somebody else who listens where a resident process should."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(private_folder() / "other.sock"))
        listener.listen()

        def connect(*_: object) -> tuple[socket.socket, bool]:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(listener.getsockname())
            return connection, False

        monkeypatch.setattr(handover, "connect", connect)
        yield listener


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (b"", "does not reply"),
        (b"tak", "does not reply"),
        (b"HTTP/1.1 400 Bad Request\r\n", "what listens there sends"),
        (b"\xff" * 500, "what listens there sends"),
        (b"taken 0\n", "what listens there sends taken 0"),
        (b"taken 1\n", "what listens there sends taken 1"),
        (b"taken -1\n", "what listens there sends"),
        (b"alive 0\n", "what listens there sends alive 0"),
        (b"ready 0\nbusy 0\n", "serves another client"),
        (b"ready 0\n", "does not reply"),
        (b"ready 0\ntaken 0\n", "what listens there sends taken 0"),
        (b"ready 0\nready 0\n", "what listens there sends ready 0"),
    ],
)
def test_whoever_listens_cannot_keep_us(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, says: bytes, why: str
) -> None:
    monkeypatch.setattr(handover, "_REPLY_SECONDS", 0.3)
    monkeypatch.setattr(handover, "_PATIENCE_SECONDS", 0.0)
    child = os.fork()
    if child == 0:
        kept = []
        while True:
            connection, _ = listener.accept()
            connection.sendall(says)
            kept.append(connection)
    try:
        with pytest.raises(Unavailable, match=why):
            hand_over("first-mask", 1)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize(
    ("last", "status"), [("taken", None), ("greets", 1), ("done", 5), ("stopped", None)]
)
def test_a_resident_that_dies_or_stops_is_replaced_until_it_has_greeted(
    listener: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    last: str,
    status: int | None,
) -> None:
    monkeypatch.setattr(handover, "_ALIVE_SECONDS", 0.5)
    child = os.fork()
    if child == 0:
        connection, _ = listener.accept()
        talk = Talk(connection)
        talk.send(READY)
        offer, _ = receive_offer(connection, 5)
        assert isinstance(offer, Offer)
        talk.send(TAKEN, os.getpid())
        assert talk.receive(5) == (GO, 0)
        if last == "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        if last in ("greets", "done"):
            talk.send(GREETS)
        if last == "done":
            talk.send(DONE, 5)
        os._exit(0)
    if status is None:
        with pytest.raises(Unavailable):
            hand_over("first-mask", 1)
    else:
        assert hand_over("first-mask", 1) == status
    assert (status == 1) == ("the resident process ended" in capsys.readouterr().err)
    # also the stopped one is gone
    os.waitpid(child, 0)


@pytest.mark.slow
def test_a_wait_without_limit_is_legal(sockets: Path, requests: str) -> None:
    for _ in range(2):
        ended = run(requests, HQTRACK_RESIDENT="inf")
        check_answered(ended)
        assert ended.stderr == ""
    assert len(residents(sockets)) == 1


@pytest.mark.parametrize("value", ["nan", "-1", "soon"])
def test_a_wait_that_is_none_is_told(sockets: Path, requests: str, value: str) -> None:
    ended = run(requests, HQTRACK_RESIDENT=value)
    assert ended.returncode == 1
    assert f"HQTRACK_RESIDENT is '{value}': give the seconds" in ended.stderr
    assert f"trax.reason=HQTRACK_RESIDENT is '{value}': give the seconds" in ended.stdout
    assert residents(sockets) == []
