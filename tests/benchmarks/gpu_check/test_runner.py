import json
import os
import sys
import time
from pathlib import Path

import pytest

from benchmarks.gpu_check.found import FAILED, NOT_RUN, PASSED, TIMED_OUT, read_json
from benchmarks.gpu_check.runner import SKIPPED, Result, run_step, step_environment

PUT = "import pathlib, sys; pathlib.Path('a.json').write_text('{\"x\": 1}'); "


def run(folder: Path, program: str, seconds: float = 60) -> Result:
    os.chdir(folder)
    return run_step("a", [sys.executable, "-c", program], seconds, folder, os.environ)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("program", "status", "reason"),
    [
        ("print('fine')", PASSED, ""),
        (f"print('no av'); sys.exit({SKIPPED})", NOT_RUN, "no av"),
        ("print('one'); print('it differs'); sys.exit(1)", FAILED, "it differs"),
        ("sys.exit(9)", FAILED, "exit code 9"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", FAILED, "killed by SIGSEGV"),
    ],
)
def test_a_step_ends_as_its_process_does(
    program: str, status: str, reason: str, tmp_path: Path
) -> None:
    result = run(tmp_path, PUT + program)
    assert (result.status, result.reason, result.found) == (status, reason, {"x": 1})
    assert json.loads((tmp_path / "a.json").read_text()) == result._asdict()


def test_a_step_that_hangs_is_killed_with_what_it_started_and_its_numbers_stay(
    tmp_path: Path,
) -> None:
    """The child would otherwise write on."""
    child = "import time, pathlib\nwhile 1: pathlib.Path('alive').touch(); time.sleep(0.01)"
    program = (
        f"{PUT}import subprocess, time; subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "while not pathlib.Path('alive').exists(): time.sleep(0.01)\n"
        "pathlib.Path('a.json').write_text('{\"x\": 2}')\n"
        "while 1: time.sleep(1)"
    )
    result = run(tmp_path, program, seconds=10)
    assert (result.status, result.found) == (TIMED_OUT, {"x": 2})
    assert result.reason == "it took longer than 10 s"
    alive = tmp_path / "alive"
    alive.unlink(missing_ok=True)
    time.sleep(0.2)
    assert not alive.exists()


def test_numbers_of_an_earlier_run_are_not_those_of_this_one(tmp_path: Path) -> None:
    run(tmp_path, PUT)
    assert run(tmp_path, "1 / 0").found == {}
    assert "ZeroDivisionError" in (tmp_path / "a.log").read_text()
    (tmp_path / "b.json").write_text("[1")
    assert read_json(tmp_path / "b.json") == {}


def test_a_dry_step_sees_no_gpu() -> None:
    assert step_environment(dry=True)["CUDA_VISIBLE_DEVICES"] == ""
    assert step_environment(dry=True)["TRITON_INTERPRET"] == "1"
    changed = {"CUDA_VISIBLE_DEVICES", "TRITON_INTERPRET"} & step_environment(dry=False).keys()
    assert changed <= os.environ.keys()
