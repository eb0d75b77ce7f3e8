"""Faults in the real tracker process, resident or not, through the real toolkit."""

import os
import signal
import subprocess
import sys
import time
import timeit
from pathlib import Path

import pytest
from vot.tracker import TrackerException
from vot.workspace import Workspace

from hqtrack.video import read_image
from tests.helpers.residents import IN_PLACE, RESIDENT, all_gone, cpu_seconds, processes
from tests.helpers.workspaces import (
    ROOT,
    copied,
    evaluate,
    evaluated,
    faulty,
    registry,
    small_workspace,
    stored,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sockets")]

EVALUATE = (
    "import sys; from pathlib import Path; from tests.helpers.workspaces import evaluate; "
    "evaluate(Path(sys.argv[1]))"
)


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_workspace(tmp_path_factory.mktemp("faults"), (5, 4))


@pytest.fixture(scope="module")
def expected(sequences: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What is stored where nothing goes wrong."""
    return evaluated(sequences, tmp_path_factory.mktemp("expected"))


@pytest.fixture
def workspace(sequences: Path, tmp_path: Path) -> Path:
    return copied(sequences, tmp_path)


@pytest.mark.parametrize("resident", [RESIDENT, IN_PLACE])
@pytest.mark.parametrize(
    ("fault", "reported"),
    [
        ("exception", "Server terminated the session: a bug of the tracker"),
        ("memory", "Server terminated the session: no room for another tensor"),
        ("exit", "Server terminated the session"),
        ("abrupt", "waiting for response"),
        ("kill", "waiting for response"),
        ("crash", "waiting for response"),
        ("hang", "did not reply in 10 seconds"),
    ],
)
def test_a_fault_is_reported_and_a_rerun_completes(
    workspace: Path,
    expected: dict[str, bytes],
    sockets: Path,
    fault: str,
    reported: str,
    resident: str,
) -> None:
    settings = {"env_HQTRACK_RESIDENT": resident}
    patience = {"timeout": "10"} if fault == "hang" else {}
    mark = faulty(workspace, fault, after=1, **settings, **patience)
    with pytest.raises(TrackerException) as caught:
        evaluate(workspace)
    assert reported in str(caught.value.args[1])
    assert not mark.exists()
    finished = list(workspace.glob("results/FirstMask/baseline/s0/*"))
    before = {path: path.stat().st_mtime_ns for path in finished}
    assert len(before) == 6
    assert not (workspace / "results/FirstMask/baseline/s1").exists()
    if fault == "crash":
        (log,) = (workspace / "logs").glob("*.log")
        assert "Segmentation fault" in log.read_text()
    faulty(workspace, fault, after=None, **settings)
    evaluate(workspace)
    assert stored(workspace) == expected
    assert {path: path.stat().st_mtime_ns for path in finished} == before
    assert len(processes(sockets)) == (1 if resident == RESIDENT else 0)


@pytest.mark.parametrize("resident", [RESIDENT, IN_PLACE])
@pytest.mark.parametrize(
    "fault", ["print", "unended", "unended error", "bar", "bar on stdout", "native"]
)
def test_what_is_printed_does_no_harm(
    workspace: Path, expected: dict[str, bytes], fault: str, resident: str
) -> None:
    mark = faulty(workspace, fault, env_HQTRACK_RESIDENT=resident)
    evaluate(workspace)
    assert not mark.exists()
    assert stored(workspace) == expected


def test_a_resident_killed_between_sequences_is_replaced(
    workspace: Path, expected: dict[str, bytes], sockets: Path
) -> None:
    names = workspace / "sequences" / "list.txt"
    all_names = names.read_text()
    names.write_text("s0\n")
    registry(workspace, FirstMask={"env_HQTRACK_RESIDENT": RESIDENT})
    evaluate(workspace)
    (resident,) = processes(sockets)
    os.kill(resident, signal.SIGKILL)
    names.write_text(all_names)
    evaluate(workspace)
    assert stored(workspace) == expected
    assert processes(sockets) != [resident]


def test_two_evaluations_at_once(
    workspace: Path, sequences: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    other = copied(sequences, tmp_path / "other")
    mark = tmp_path / "mark"
    settings = {"env_HQTRACK_RESIDENT": RESIDENT, "env_HQTRACK_FAULT_MARK": str(mark)}
    for folder in (workspace, other):
        faulty(folder, "slow", after=None, **settings)
    with subprocess.Popen([sys.executable, "-c", EVALUATE, str(other)], cwd=ROOT) as process:
        evaluate(workspace)
        assert process.wait() == 0
    assert stored(workspace) == stored(other) == expected
    # one for all, and in place where that one was busy
    assert 1 <= len(mark.with_suffix(".loads").read_text().split()) <= 4


def test_nothing_is_left_of_an_evaluation_that_was_killed(
    workspace: Path, expected: dict[str, bytes], sockets: Path
) -> None:
    faulty(workspace, "hang", after=1, env_HQTRACK_RESIDENT=RESIDENT)
    with subprocess.Popen([sys.executable, "-c", EVALUATE, str(workspace)], cwd=ROOT) as process:
        while (workspace / "mark").exists():
            time.sleep(0.05)
        time.sleep(0.3)
        process.kill()
    assert len(processes(sockets)) >= 2
    assert all_gone(sockets)
    evaluate(workspace)
    assert stored(workspace) == expected


def test_models_are_loaded_once_and_the_hello_comes_fast(tmp_path: Path, sockets: Path) -> None:
    workspace = small_workspace(tmp_path, (3,) * 6, objects=1)
    mark = faulty(workspace, "none", after=None, env_HQTRACK_RESIDENT=RESIDENT)
    evaluate(workspace)
    assert len(mark.with_suffix(".loads").read_text().split()) == 1
    (tracker,) = Workspace.load(str(workspace)).registry.resolve("FirstMask")
    seconds = []
    for _ in range(3):
        runtime = tracker.runtime()
        assert runtime.multiobject
        (light,) = processes(sockets, "hqtrack.vot\0")
        seconds.append(cpu_seconds(light))
        assert runtime._process._watchdog_counter != 0, "the toolkit would not notice a hang"
        runtime.stop()
    assert min(seconds) < 0.5
    assert len(processes(sockets)) == 1


def test_a_mask_with_too_many_runs_is_stored(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path, (2,), objects=1, size=(400, 400))
    faulty(workspace, "noise")
    evaluate(workspace)
    (file,) = workspace.rglob("s0_001.bin")
    assert 2 * 32_000 < file.stat().st_size < 2 * 66_000


@pytest.mark.slow
def test_the_protocol_costs_little(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path, (20,), objects=5, size=(720, 1280))
    registry(workspace, FirstMask={"env_HQTRACK_RESIDENT": RESIDENT})
    evaluate(workspace)
    times = next(workspace.rglob("*_time.value")).read_text().split()
    frame = next(workspace.rglob("00000001.jpg"))
    reading = min(timeit.repeat(lambda: read_image(frame), number=1, repeat=20))
    # Reading the image takes most of the time, 10 ms. Whole frames as masks would add 62 ms to
    # every answer, the fastest included; the fastest is what a busy machine delays least.
    assert min(float(time) for time in times[1:]) < 4 * reading
