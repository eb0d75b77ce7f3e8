"""How far a run is, on a terminal of 40 columns and without one."""

import os
import pty
import re
import subprocess
import sys
import time

import pytest

from hqtrack.progress import pace_on_stderr, speed_text


@pytest.fixture
def clock(monkeypatch):
    """Seconds, moved by hand."""
    seconds = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: seconds[0])
    return seconds


def test_plain_lines_now_and_then(clock, capsys):
    with pace_on_stderr(100) as advance:
        for _ in range(30):
            clock[0] += 0.5
            advance()
    assert capsys.readouterr().err.splitlines() == [
        "frame 20 of 100, 2.0 fps, 40 s left",
        "frame 30 of 100, 2.0 fps, 35 s left",
    ]


def test_plain_lines_of_a_video_without_end(clock, capsys):
    with pace_on_stderr(None) as advance:
        clock[0] += 4
        advance()
    assert capsys.readouterr().err == "frame 1, 4.0 s/frame\n"


def test_a_slow_machine_sees_seconds_per_frame(clock, capsys):
    with pace_on_stderr(3) as advance:
        for _ in range(2):
            clock[0] += 75
            advance()
    assert capsys.readouterr().err.splitlines() == [
        "frame 1 of 3, 75.0 s/frame, 150 s left",
        "frame 2 of 3, 75.0 s/frame, 75 s left",
    ]


@pytest.mark.parametrize(
    ("fps", "text"),
    [(30, "30.0 fps"), (1, "1.0 fps"), (0.5, "2.0 s/frame"), (0.001, "1000.0 s/frame")],
)
def test_no_speed_is_rounded_to_nothing(fps, text):
    assert speed_text(fps) == text


def test_nothing_is_said_of_nothing(capsys):
    with pace_on_stderr(100):
        pass
    assert capsys.readouterr().err == ""


PROGRAM = """
import sys, time
from hqtrack.progress import pace_on_stderr
total = int(sys.argv[1]) or None
with pace_on_stderr(total) as advance:
    for _ in range(1200):
        time.sleep(0.0005)
        advance()
"""


@pytest.mark.parametrize("total", [12345, 0])
def test_a_bar_fits_40_columns(total):
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": "40", "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(total)], stderr=follower, env=environment
    ) as process:
        os.close(follower)
        shown = b""
        try:
            while data := os.read(leader, 4096):
                shown += data
        except OSError:  # the other end is closed
            pass
        assert process.wait() == 0
    os.close(leader)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    assert max(map(len, lines)) <= 40
    expected = r"1200/12345 \d+\.\d fps 0\d:\d\d" if total else r"1200 \d+\.\d fps"
    assert re.search(expected, lines[-1])
