"""What a worker handed back is stored, all of it or nothing."""

import os
from pathlib import Path

import pytest

from hqtrack.errors import InputError
from hqtrack.evaluation.store import store
from hqtrack.evaluation.worker import Outcome
from hqtrack.evaluation.workspace import find_tasks, find_trackers, open_workspace
from tests.helpers.workspaces import (
    copied,
    small_workspace,
)


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace without results."""
    return small_workspace(tmp_path_factory.mktemp("evaluate"), (4, 6, 5))


@pytest.fixture
def workspace(sequences: Path, tmp_path: Path) -> Path:
    return copied(sequences, tmp_path)


class TestStore:
    def outcome(self) -> Outcome:
        files = {"s0_001_001.bin": b"x" * 9, "s0_001_001_time.value": b"1\n"}
        return Outcome(files, {"FirstMask.made.jsonl": b"line\n"})

    def test_masks_come_last(self, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        opened = open_workspace(workspace)
        task = find_tasks(opened, find_trackers(opened, ["FirstMask"]))[0]
        moved: list[str] = []
        replace = os.replace

        def noted(path: Path, target: Path) -> None:
            moved.append(target.name)
            replace(path, target)

        monkeypatch.setattr(os, "replace", noted)
        store(task, self.outcome(), workspace)
        assert moved == ["s0_001_001_time.value", "s0_001_001.bin"]
        assert (workspace / "logs" / "FirstMask.made.jsonl").read_text() == "line\n"

    def test_a_full_disk_leaves_nothing_half_done(
        self, workspace: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened = open_workspace(workspace)
        task = find_tasks(opened, find_trackers(opened, ["FirstMask"]))[0]
        write_bytes = Path.write_bytes

        def full(path: Path, data: bytes) -> int:
            write_bytes(path, data[:4])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(InputError, match=r"No space left on device; free some"):
            store(task, self.outcome(), workspace)
        assert list(workspace.glob("results/*/*/*/*")) == []
