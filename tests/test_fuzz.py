"""A short run of the fuzzer, and the cases that were kept; `python -m tests.fuzz` runs longer."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.cases import CASES
from tests.fuzz.script import Expected, Object, Script, expect, pixels_of

ROOT = Path(__file__).resolve().parents[1]


def test_random_sessions_and_kept_cases_go_as_they_have_to() -> None:
    # a process of its own, as sessions fork it
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--sessions", "120", "--seed", "1", "--cases"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{120 + len(CASES)} sessions" in ended.stdout


def test_signals_that_the_shell_ignores_reach_the_sessions() -> None:
    """A shell ignores SIGINT in what it starts in the background, and nohup ignores SIGHUP."""
    command = [sys.executable, "-m", "tests.fuzz", "--way", "real", "--seed", "20260278"]
    ended = subprocess.run(
        ["/bin/sh", "-c", 'trap "" INT HUP; exec "$@"', "sh", *command, "--sessions", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_script_says_what_has_to_come() -> None:
    script = Script(
        (
            ("objects", ("mask:0,0,2,1,0,2", "mask:5,5,0,0")),
            ("frame", "a.png"),
            ("objects", ("mask:1,0,2,1,1,1",)),
            ("frame", "b.png"),
            ("frame", "missing.png"),
        )
    )
    first = [Object(frozenset({0, 1}), 1.0), Object(frozenset(), 0.0)]
    second = [*first, Object(frozenset({2}), 1.0)]
    assert expect(script) == Expected([first, second], 1, True)
    assert expect(script._replace(steps=script.steps[:1])) == Expected([], 0, False, False)
    assert pixels_of("mask:-1,0,3,2,1,3,2") == frozenset({0, 1})
    assert pixels_of("mask:0,0,2,2,0,5") is None


SABOTAGED = """
import sys, time
from hqtrack.vot import server
from tests.fuzz import session
from tests.fuzz.__main__ import main

def doubt(self, objects, honest=server.TraxServer.answer):
    honest(self, [one._replace(confidence=0.5) for one in objects])

def hang(self, reason, honest=server.TraxServer.quit):
    time.sleep(60)

session.LIMIT_SECONDS = 2.0
if sys.argv.pop(1) == "doubt":
    server.TraxServer.answer = doubt
else:
    server.TraxServer.quit = hang
sys.exit(main())
"""


@pytest.mark.parametrize(("fault", "message"), [("doubt", "answers: "), ("hang", "hang: ")])
def test_a_program_that_is_wrong_is_noticed_and_the_session_reduced(
    fault: str, message: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SABOTAGED, fault, "--way", "fork", "--seed", "7"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1, ended.stderr
    assert message in ended.stdout
    # a line for tests/fuzz/cases.py
    line = ended.stdout.split("reduced:\n")[1].strip().removesuffix(",")
    reduced = eval(line, {"Script": Script})
    assert 1 <= len(reduced.steps) <= 3
    assert expect(reduced)
