"""An installation without the checkout: the wheel, built from a copy of the sources."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.helpers.imports import ROOT, SOURCE_ROOTS

BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
NEEDED = ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE", "NOTICE.md")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without the network, by the setuptools that is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in NEEDED:
        shutil.copy(ROOT / name, folder)
    for name in set(SOURCE_ROOTS.values()):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    command = [sys.executable, "-c", BUILD, str(folder)]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def contents(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def on_disk(package: str) -> set[str]:
    """Every file of a package, modules and data, as the wheel should name it."""
    base = ROOT / SOURCE_ROOTS[package]
    return {
        path.relative_to(base).as_posix()
        for path in (base / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize("package", SOURCE_ROOTS)
def test_the_wheel_holds_what_is_on_disk(package: str, contents: set[str]) -> None:
    expected = on_disk(package)
    assert f"{package}/py.typed" in expected
    assert {name for name in contents if name.startswith(f"{package}/")} == expected


def test_the_wheel_holds_nothing_else(wheel: Path, contents: set[str]) -> None:
    information = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    assert {name.split("/")[0] for name in contents} == {*SOURCE_ROOTS, information}


def test_every_folder_with_modules_is_a_package() -> None:
    for package, root in SOURCE_ROOTS.items():
        for path in (ROOT / root / package).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), path.parent


@pytest.mark.slow
def test_it_runs_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    site, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    with ZipFile(wheel) as archive:
        archive.extractall(site)

    def python(*arguments: str) -> str:
        ended = subprocess.run(
            [sys.executable, *arguments],
            cwd=empty,
            env={**os.environ, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def hqtrack(words: str) -> str:
        return python("-m", "hqtrack", *words.split())

    found = python("-c", "import hqtrack, vmos, hqsam; print(hqtrack, vmos, hqsam)")
    assert found.count(f"{site}/") == 3
    assert hqtrack("--version") == f"hqtrack {wheel.name.split('-')[1]}\n"
    hqtrack("generate seen --frames 3 --size 96x64 --objects 2")
    sequence = "seen/synthetic_0000000"
    first_mask = f"--mask {sequence}/masks/00000001.png"
    hqtrack(f"run {sequence}/color {first_mask} --output tracked --device cpu")
    assert len(list((empty / "tracked" / "masks").iterdir())) == 3
    hqtrack("workspace challenge --sequences seen")
    assert "[HQTrackLight]" in (empty / "challenge" / "trackers.ini").read_text()
