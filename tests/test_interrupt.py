"""A few interruptions; `python -m tests.interrupt` makes more."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_interrupted_runs_end_like_undisturbed_ones() -> None:
    # a process of its own, as runs are forked from it
    ended = subprocess.run(
        [sys.executable, "-m", "tests.interrupt", "--signals", "8", "--frames", "6", "--seed", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "{'SIGINT': 2, 'SIGTERM': 2, 'SIGHUP': 2, 'SIGKILL': 2}" in ended.stdout


SABOTAGED = """
import sys
from hqtrack.runs.results import Results
from tests.interrupt.__main__ import main

def write(self, followed, seconds, honest=Results.write):
    honest(self, followed._replace(confidence=followed.confidence * 0), seconds)
    Results.write = honest  # only the first frame of each run

Results.write = write
sys.exit(main())
"""


@pytest.mark.slow
def test_a_run_that_goes_on_wrongly_is_noticed() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SABOTAGED, "--signals", "40", "--frames", "6", "--seed", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "\nseed 1: frames.jsonl differs from that of the undisturbed run" in ended.stdout
