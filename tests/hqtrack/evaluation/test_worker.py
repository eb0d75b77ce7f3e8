"""A worker runs one sequence through the toolkit and hands back its files."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from hqtrack.evaluation.worker import Job, Worker
from tests.helpers.workspaces import (
    copied,
    faulty,
    small_workspace,
)

REALTIME = """
title: t
experiments:
  realtime:
    type: unsupervised
    multiobject: True
    realtime:
      grace: 1
"""


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace without results."""
    return small_workspace(tmp_path_factory.mktemp("evaluate"), (4, 6, 5))


@pytest.fixture
def workspace(sequences: Path, tmp_path: Path) -> Path:
    return copied(sequences, tmp_path)


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """A worker has a process of its own and sets its environment; here it is put back."""
    with patch.dict(os.environ):
        yield


class TestWorker:
    def test_real_time_drops_frames_for_a_slow_tracker(
        self, sequences: Path, tmp_path: Path
    ) -> None:
        workspace = small_workspace(tmp_path, (9,), objects=1)
        (workspace / "stack.yaml").write_text(REALTIME)
        # so slow that it does not matter how busy this machine is
        properties = workspace / "sequences" / "s0" / "sequence"
        assert "fps=30\n" in properties.read_text()
        properties.write_text(properties.read_text().replace("fps=30\n", "fps=3\n"))
        faulty(workspace, "slow", after=None, env_HQTRACK_FAULT_SECONDS="1")
        outcome = Worker(workspace, ["FirstMask"], {}).run(Job("FirstMask", "realtime", "s0"))
        assert not outcome.error
        times = [float(line) for line in outcome.files["s0_001_time.value"].decode().split()]
        # 1 s at 3 frames per second: each answer counts for the two or three frames after it,
        # but for the first, which is what grace is for
        assert len(times) == 9
        assert [time > 0.9 for time in times[:4]] == [False, True, True, False]
        assert 2 <= sum(time == 0 for time in times) <= 6
        assert min(time for time in times[1:] if time) > 0.9

    def test_real_time_with_late_objects_is_refused_by_the_toolkit(self, tmp_path: Path) -> None:
        workspace = small_workspace(tmp_path, (4,), objects=2)
        (workspace / "stack.yaml").write_text(REALTIME)
        outcome = Worker(workspace, ["FirstMask"], {}).run(Job("FirstMask", "realtime", "s0"))
        assert "new objects is not supported in realtime" in outcome.error

    def test_an_error_of_the_toolkit_is_an_outcome(
        self, workspace: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        worker = Worker(workspace, ["FirstMask"], {})
        task = worker._tasks[Job("FirstMask", "baseline", "s0")]

        def broken(*_: object) -> None:
            raise AssertionError("no late objects")

        monkeypatch.setattr(type(task.experiment), "execute", broken)
        outcome = worker.run(Job("FirstMask", "baseline", "s0"))
        assert outcome.error == "AssertionError: no late objects"
        assert "broken" in outcome.log
        assert not outcome.files
