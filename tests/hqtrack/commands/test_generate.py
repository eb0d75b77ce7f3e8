from pathlib import Path

import numpy as np
import pytest

from hqtrack.cli import main
from hqtrack.synthetic import generate
from hqtrack.video import open_sequence, read_image


def test_sequences_on_disk_are_what_was_generated(tmp_path: Path) -> None:
    options = "--seed 7 --sequences 2 --objects 2 --frames 3 --size 80x60"
    assert main(["generate", str(tmp_path / "made"), *options.split()]) == 0
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [
        "synthetic_0000007",
        "synthetic_0000008",
    ]
    sequence = open_sequence(tmp_path / "made" / "synthetic_0000008")
    images, masks = generate(8, frames=3, size=(60, 80), objects=2)
    assert sequence.fully_annotated
    assert sequence.frames[0].name == "00000001.jpg"
    for index in range(3):
        assert np.array_equal(sequence.labels(index), masks[index])
        difference = np.abs(read_image(sequence.frames[index]).astype(int) - images[index])
        assert difference.mean() < 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--objects 13", "1 to 12"),
        ("--sequences 0", "at least 1"),
        ("--frames 0", "at least 1"),
        ("--size 20x20", "48 pixels"),
    ],
)
def test_bad_options_are_refused(
    tmp_path: Path, options: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", str(tmp_path / "made"), *options.split()]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


def test_a_size_is_width_times_height(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["generate", "made", "--size", "big"])
    assert "320x180" in capsys.readouterr().err


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "synthetic_0000000"
    made.mkdir()
    assert main(["generate", str(tmp_path), "--frames", "1", "--size", "64x48"]) == 2
    assert "already exists" in capsys.readouterr().err
    assert not list(made.iterdir())
