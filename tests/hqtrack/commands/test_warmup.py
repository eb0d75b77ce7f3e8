import pytest
import torch

from hqtrack.cli import main
from hqtrack.errors import MissingFileError


def test_a_cpu_needs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warmup", "--device", "cpu"]) == 0
    assert "nothing to compile" in capsys.readouterr().out


def test_every_tracker_that_is_there_is_built(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def build_named(name: str, device: torch.device, weights: None) -> None:
        asked.append((name, device.type))
        if name != "HQTrackLight":
            raise MissingFileError("no weights: fetch them")

    monkeypatch.setattr("hqtrack.build.build_named", build_named)
    monkeypatch.setattr("hqtrack.build.choose_device", lambda name: torch.device("cuda"))
    assert main(["warmup"]) == 0
    assert asked == [("HQTrack", "cuda"), ("HQTrackPlus", "cuda"), ("HQTrackLight", "cuda")]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "HQTrack: skipped: no weights: fetch them"
    assert lines[2].startswith("HQTrackLight: ready after")
