import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hqtrack.vot import handover
from hqtrack.vot.handover import Message, Unavailable, idle_seconds, private_folder, receive, send
from tests.helpers.workspaces import evaluate, registry, small_workspace
from tests.hqtrack.evaluation.test_faults import RESIDENT, all_gone, processes, sockets  # noqa: F401


def test_messages() -> None:
    one, other = socket.socketpair()
    with one, other:
        send(one, "taken", 77)
        send(one, "done")
        one.shutdown(socket.SHUT_WR)
        assert receive(other) == Message("taken", 77)
        assert receive(other) == Message("done", 0)
        assert receive(other) is None


@pytest.mark.parametrize(("value", "seconds"), [("0", 0), ("7.5", 7.5), ("x", 60), (None, 60)])
def test_how_long_it_stays(value: str | None, seconds: float) -> None:
    environment = {} if value is None else {"HQTRACK_RESIDENT": value}
    assert idle_seconds(environment, 60) == seconds


@pytest.mark.parametrize("fault", ["open", "file", "link"])
def test_a_folder_that_is_not_private_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = tmp_path / f"hqtrack-{os.getuid()}"
    if fault == "open":
        folder.mkdir(0o755)
    elif fault == "file":
        folder.write_text("")
    else:
        (tmp_path / "else").mkdir(0o700)
        folder.symlink_to(tmp_path / "else")
    with pytest.raises((Unavailable, FileExistsError)):
        private_folder()
    with pytest.raises(Unavailable):
        handover._connect("first-mask", 1)


def test_the_folder_is_made_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert private_folder().stat().st_mode & 0o777 == 0o700


def test_other_settings_are_another_resident() -> None:
    key = handover._key
    base = key("light", {})
    assert key("light", {"HOME": "/x", "HQTRACK_WORKSPACE": "/y", "TRAX": "1"}) == base
    assert key("full", {}) != base
    assert key("light", {"HQTRACK_DEVICE": "cuda:1"}) != base
    assert key("light", {"CUDA_VISIBLE_DEVICES": "1"}) != base
    assert key("light", {"LD_LIBRARY_PATH": "/a:"}) == key("light", {"LD_LIBRARY_PATH": "/a"})


def test_the_light_process_imports_nothing_heavy() -> None:
    code = "import sys, hqtrack.vot; print(*{'numpy', 'torch', 'trax', 'cv2'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stdout == "\n"


@pytest.mark.usefixtures("sockets")
class TestResident:
    def test_it_leaves_when_idle(self, tmp_path: Path, sockets: Path) -> None:  # noqa: F811
        workspace = small_workspace(tmp_path, (3,))
        registry(workspace, FirstMask={"env_HQTRACK_RESIDENT": "1"})
        evaluate(workspace)
        assert len(processes(sockets)) == 1
        assert all_gone(sockets, 10)
        assert [path.name for path in sockets.rglob("*") if path.is_file()] == ["lock"]
        assert not list(sockets.rglob("*.sock"))

    def test_without_a_private_folder_it_loads_in_place(
        self,
        tmp_path: Path,
        sockets: Path,  # noqa: F811
    ) -> None:
        (sockets / f"hqtrack-{os.getuid()}").mkdir(0o755)
        workspace = small_workspace(tmp_path, (3,))
        registry(workspace, FirstMask={"env_HQTRACK_RESIDENT": RESIDENT})
        evaluate(workspace)
        assert processes(sockets) == []
        assert len(list(workspace.rglob("*.bin"))) == 2

    def test_it_does_not_outlive_a_light_process_that_was_killed(
        self,
        tmp_path: Path,
        sockets: Path,  # noqa: F811
    ) -> None:
        workspace = small_workspace(tmp_path, (3,))
        registry(workspace, FirstMask={"env_HQTRACK_RESIDENT": RESIDENT})
        from vot.workspace import Workspace

        (tracker,) = Workspace.load(str(workspace)).registry.resolve("FirstMask")
        runtime = tracker.runtime()
        assert runtime.multiobject
        (shim,) = processes(sockets, "hqtrack.vot\0")
        os.kill(shim, 9)
        start = time.monotonic()
        assert all_gone(sockets, 5)
        assert time.monotonic() - start < 2
        runtime.stop()
