import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hqtrack.vot import sockets
from hqtrack.vot.sockets import SocketFile, Unavailable, private_folder


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
        sockets.connect("first-mask", 1)


def test_the_folder_is_made_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert private_folder().stat().st_mode & 0o777 == 0o700


def test_other_settings_are_another_resident() -> None:
    key = sockets.key
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
from hqtrack.errors import InputError
from hqtrack.vot import sockets
assert sockets.__file__.startswith(os.environ["PYTHONPATH"]), sockets.__file__
for path in sys.argv[1:]:
    before = sockets.key("light", {})
    os.utime(path, ns=(1, 1))
    assert sockets.key("light", {}) == sockets.key("light", {})
    print(sockets.key("light", {}) != before)
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
    monkeypatch.setattr(sockets, "_PACKAGES", ("hqtrack", package))
    with pytest.raises(Unavailable, match=f"the source files of {package} are missing"):
        sockets.key("light", {})


def test_other_weights_are_another_resident(tmp_path: Path) -> None:
    file = tmp_path / "light.safetensors"
    missing = sockets.key("light", {}, [file])
    file.write_bytes(b"some weights")
    os.utime(file, ns=(1, 1))
    some = sockets.key("light", {}, [file])
    file.write_bytes(b"some longer weights")
    os.utime(file, ns=(1, 1))
    longer = sockets.key("light", {}, [file])
    os.utime(file, ns=(2, 2))
    later = sockets.key("light", {}, [file])
    assert len({sockets.key("light", {}), missing, some, longer, later}) == 5


def test_only_its_own_socket_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    path.write_text("")
    mine = SocketFile.bound(path)
    assert mine.there()
    path.unlink()
    assert not mine.there()
    mine.remove()
    path.write_text("")
    os.utime(path)
    assert not mine.there()
    mine.remove()
    assert path.exists()
    SocketFile.bound(path).remove()
    assert not path.exists()


def test_a_lock_that_somebody_keeps_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_LOCK_SECONDS", 0.1)
    with (
        sockets.locked(tmp_path),
        pytest.raises(Unavailable, match="another process holds"),
        sockets.locked(tmp_path),
    ):
        pass
    with sockets.locked(tmp_path):
        pass
