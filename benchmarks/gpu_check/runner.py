"""Runs steps, each in a process of its own under its time limit."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.gpu_check.found import (
    FAILED,
    NOT_RUN,
    PASSED,
    TIMED_OUT,
    read_json,
    write_json,
)

SKIPPED = 3
"""The exit code of a step that cannot run here."""

_GONE = 10
"""Seconds that a killed process has to disappear; one that hangs in the driver may not."""


class Result(NamedTuple):
    """How a step ended.

    Attributes:
        status: passed, failed, timed out or not run.
        seconds: what it took.
        reason: why it did not pass, in one line; empty if it did.
        found: what it found until then.
    """

    status: str
    seconds: float
    reason: str
    found: dict[str, Any]


def run_step(
    name: str, command: Sequence[str], seconds: float, out: Path, environment: Mapping[str, str]
) -> Result:
    """Run a command that writes ``out/NAME.json``; its output is ``out/NAME.log``.

    It and all processes that it started are killed after so many seconds. Adds how it ended to the
    JSON file.
    """
    path, log = out / f"{name}.json", out / f"{name}.log"
    path.unlink(missing_ok=True)
    begin = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
        code: int | None = None
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GONE)
    taken = round(time.monotonic() - begin, 1)
    result = Result(_status(code), taken, _reason(code, seconds, log), read_json(path))
    write_json(path, result._asdict())
    return result


def step_environment(dry: bool) -> dict[str, str]:
    """The environment of a step's process; a dry one sees no GPU and interprets the kernels."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if dry:
        environment |= {"CUDA_VISIBLE_DEVICES": "", "TRITON_INTERPRET": "1"}
    return environment


def _status(code: int | None) -> str:
    return {None: TIMED_OUT, 0: PASSED, SKIPPED: NOT_RUN}.get(code, FAILED)


def _reason(code: int | None, seconds: float, log: Path) -> str:
    if code is None:
        return f"it took longer than {seconds:.0f} s"
    if code == 0:
        return ""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {code}")
