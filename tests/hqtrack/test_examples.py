"""The example and what docstrings show run as they stand."""

import doctest
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import hqtrack
from hqtrack.errors import MissingFileError
from hqtrack.synthetic import generate
from hqtrack.video import write_sequence
from hqtrack.weights import find

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def light():
    try:
        find("light")
    except MissingFileError as error:
        pytest.skip(str(error))


def documented():
    """The modules of hqtrack whose docstrings show something."""
    for path in sorted((ROOT / "tracker" / "hqtrack").glob("*.py")):
        if ">>>" in path.read_text():
            name = "" if path.stem == "__init__" else f".{path.stem}"
            yield f"hqtrack{name}"


@pytest.mark.parametrize("name", list(documented()))
def test_docstrings_show_what_happens(light, name):
    results = doctest.testmod(import_module(name))
    assert results.attempted > 0
    assert results.failed == 0


def test_the_example_follows_the_objects_of_a_mask(light, tmp_path):
    folder = tmp_path / "two"
    write_sequence(folder, *generate(seed=1, frames=4, objects=2))
    arguments = [folder / "color", folder / "masks" / "00000001.png"]
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "track.py", *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0].split(".")[0] for line in lines] == ["00000002", "00000003", "00000004"]
    assert all("1: " in line and "2: " in line and " px (" in line for line in lines)


def test_the_public_names_load_and_the_package_is_light():
    assert {name: getattr(hqtrack, name).__name__ for name in hqtrack.__all__} == {
        name: name for name in hqtrack.__all__
    }
    assert dir(hqtrack) == hqtrack.__all__ == sorted(hqtrack.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hqtrack.nothing  # noqa: B018
    program = "import sys, hqtrack; assert not {'torch', 'cv2', 'av'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
