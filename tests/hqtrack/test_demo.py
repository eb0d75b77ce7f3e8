from pathlib import Path
from shutil import copy

import pytest

from hqtrack import demo
from hqtrack.demo import Analysis, Measures, read_analysis
from hqtrack.evaluation.make_workspace import REGISTRY
from hqtrack.synthetic import DEMO_SEEDS


def test_an_analysis_is_read_by_tracker_and_sequence() -> None:
    names = ["Quality", "AR", "Quality by sequence", "Accuracy by sequence"]
    report = {
        "trackers": {"A": {}, "B": {}},
        "sequences": {"x": {}, "y": {}},
        "results": {
            "baseline": {
                "parameters": {
                    "analyses": [{"name": name} for name in [*names, "Auxiliary by sequence"]]
                },
                "results": [
                    [[0.5], [0.6]],
                    [[0.7, 0.8, [0.8, 0.7]], [0.1, 0.2, [0.2, 0.1]]],
                    [[0.11], [0.12], [0.13], [0.14]],
                    [[0.21], [0.22], [0.23], [0.24]],
                    [[0.25, 0.25, None], [0.5, 0.0, 1.0], [0.0, 0.5, None], [0.0, 0.0, None]],
                ],
            }
        },
    }
    assert read_analysis(report) == Analysis(
        overall={"A": Measures(0.5, 0.7, 0.8), "B": Measures(0.6, 0.1, 0.2)},
        by_sequence={
            "x": {"A": Measures(0.11, 0.21, 0.5), "B": Measures(0.13, 0.23, 0.5)},
            "y": {"A": Measures(0.12, 0.22, 0.5), "B": Measures(0.14, 0.24, 1.0)},
        },
    )


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small copy of the demonstration that needs no weights."""
    home = REGISTRY.parent / "vot_workspace" / "demo"
    copy(home / "stack.yaml", tmp_path)
    (tmp_path / "config.yaml").write_text(f"registry: [{REGISTRY}]\nstack: stack.yaml\n")
    monkeypatch.setattr(demo, "_WORKSPACE", tmp_path)
    monkeypatch.setattr(demo, "TRACKERS", ("FirstMask",))
    return tmp_path


def test_outside_a_checkout_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_WORKSPACE", tmp_path / "demo")
    assert demo.main() == 1
    assert "from a checkout of hqtrack" in capsys.readouterr().err
    assert not (tmp_path / "demo").exists()


@pytest.mark.slow
class TestMain:
    def test_it_leaves_an_analysis_and_pictures(
        self, workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(demo, "DEMO_SEEDS", DEMO_SEEDS[:2])
        monkeypatch.setattr(demo, "_OBJECTS_AND_FRAMES", ((2, 4), (3, 4)))
        assert demo.main() == 0
        shown = capsys.readouterr().out
        for text in ("02_objects", "03_objects", "FirstMask", "all"):
            assert text in shown
        assert (workspace / "analysis" / "demo.json").is_file()
        assert len(list((workspace / "analysis" / "overlays").glob("*.jpg"))) == 2

    def test_it_fails_when_a_tracker_does(
        self, workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(demo, "DEMO_SEEDS", DEMO_SEEDS[:1])
        monkeypatch.setattr(demo, "_OBJECTS_AND_FRAMES", ((1, 3),))
        monkeypatch.setattr(demo, "TRACKERS", ("FirstMask", "HQTrack"))
        monkeypatch.setenv("HQTRACK_WEIGHTS", str(workspace))
        assert demo.main() == 1
        shown = capsys.readouterr().err
        assert "results are missing: HQTrack on 01_objects" in shown
        assert "hqtrack weights download" in shown
        assert not (workspace / "analysis" / "demo.json").exists()
