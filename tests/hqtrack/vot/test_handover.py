import os
import subprocess
import sys
from pathlib import Path

import pytest

from hqtrack.files import shipped
from hqtrack.vot import process
from tests.helpers.residents import RESIDENT, all_gone, processes
from tests.helpers.workspaces import evaluate, registry, small_workspace


def test_the_resident_is_that_of_the_weights_of_its_tracker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(process, "hand_over", lambda *arguments: asked.append(arguments) or 0)
    monkeypatch.setattr(process, "can_have_client", lambda: True)
    monkeypatch.setenv("TRAX", "1")
    monkeypatch.delenv("HQTRACK_RESIDENT", raising=False)
    monkeypatch.setenv("HQTRACK_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("HQTRACK_REFINER", "vit_b")
    assert process.main(["--preset", "full"]) == 0
    assert process.main(["--preset", "light"]) == 0
    files = [tmp_path / "save_step_42000.pth", tmp_path / "sam_hq_vit_b.pth"]
    assert asked == [("full", 60.0, files), ("light", 60.0, [shipped("light.safetensors")])]


LIGHT = """
import os, sys, hqtrack.vot.process
from hqtrack import environment, presets
hqtrack.vot.sockets.key("light", os.environ, presets.LIGHT.files(environment.read()))
print(*{"numpy", "torch", "trax", "cv2"} & set(sys.modules))
"""


def test_the_light_process_imports_nothing_heavy() -> None:
    ended = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("\n", "")


@pytest.mark.usefixtures("sockets")
class TestResident:
    def test_it_leaves_when_idle(self, tmp_path: Path, sockets: Path) -> None:
        workspace = small_workspace(tmp_path, (3,))
        registry(workspace, FirstMask={"env_HQTRACK_RESIDENT": "3"})
        evaluate(workspace)
        assert len(processes(sockets)) == 1
        assert all_gone(sockets)
        assert [path.name for path in sockets.rglob("*") if path.is_file()] == ["lock"]
        assert not list(sockets.rglob("*.sock"))

    def test_without_a_private_folder_it_loads_in_place(
        self,
        tmp_path: Path,
        sockets: Path,
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
        sockets: Path,
    ) -> None:
        workspace = small_workspace(tmp_path, (3,))
        registry(workspace, FirstMask={"env_HQTRACK_RESIDENT": RESIDENT})
        from vot.workspace import Workspace

        (tracker,) = Workspace.load(str(workspace)).registry.resolve("FirstMask")
        runtime = tracker.runtime()
        assert runtime.multiobject
        (shim,) = processes(sockets, "hqtrack.vot\0")
        os.kill(shim, 9)
        assert all_gone(sockets)
        runtime.stop()
