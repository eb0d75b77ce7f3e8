import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hqtrack.files import shipped
from hqtrack.vot import handover, process
from hqtrack.vot.handover import Message, Unavailable, private_folder, receive, send
from tests.helpers.residents import RESIDENT, all_gone, processes
from tests.helpers.workspaces import evaluate, registry, small_workspace


def test_messages() -> None:
    one, other = socket.socketpair()
    with one, other:
        send(one, "taken", 77)
        send(one, "done")
        one.shutdown(socket.SHUT_WR)
        assert receive(other) == Message("taken", 77)
        assert receive(other) == Message("done", 0)
        assert receive(other) is None


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


PACKAGES = {"hqtrack": "tracker", "hqsam": "models", "vmos": "models"}
KEYS_BEFORE_AND_AFTER = """
import os, sys
from hqtrack.files import shipped
from hqtrack.vot import handover, process
assert handover.__file__.startswith(os.environ["PYTHONPATH"]), handover.__file__
for path in sys.argv[1:]:
    before = handover._key("light", {})
    os.utime(path, ns=(1, 1))
    assert handover._key("light", {}) == handover._key("light", {})
    print(handover._key("light", {}) != before)
"""


def test_other_code_is_another_resident(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    for package, where in PACKAGES.items():
        shutil.copytree(root / where / package, tmp_path / package)
    nested = tmp_path / "vmos" / "nested"
    nested.mkdir()
    modules = [
        tmp_path / "hqtrack" / "segmenter.py",
        tmp_path / "hqtrack" / "vot" / "session.py",
        tmp_path / "hqsam" / "sam.py",
        tmp_path / "vmos" / "vmos.py",
        nested / "__init__.py",
    ]
    modules[-1].touch()
    ended = subprocess.run(
        [sys.executable, "-c", KEYS_BEFORE_AND_AFTER, *map(str, modules)],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ended.stderr == ""
    assert ended.stdout.split() == ["True"] * len(modules)


@pytest.mark.parametrize("package", ["no_such_package", "empty_package"])
def test_without_its_source_files_there_is_no_resident(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    (tmp_path / "empty_package").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(handover, "_PACKAGES", ("hqtrack", package))
    with pytest.raises(Unavailable, match=f"the source files of {package} are missing"):
        handover._key("light", {})


def test_other_weights_are_another_resident(tmp_path: Path) -> None:
    file = tmp_path / "light.safetensors"
    missing = handover._key("light", {}, [file])
    file.write_bytes(b"some weights")
    os.utime(file, ns=(1, 1))
    some = handover._key("light", {}, [file])
    file.write_bytes(b"some longer weights")
    os.utime(file, ns=(1, 1))
    longer = handover._key("light", {}, [file])
    os.utime(file, ns=(2, 2))
    later = handover._key("light", {}, [file])
    assert len({handover._key("light", {}), missing, some, longer, later}) == 5


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
hqtrack.vot.handover._key("light", os.environ, presets.LIGHT.files(environment.read()))
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
