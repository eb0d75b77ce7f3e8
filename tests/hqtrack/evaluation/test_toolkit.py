"""Through the real toolkit: evaluate, analyse and pack."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from vot.region import Special
from vot.region.io import read_trajectory

from hqtrack.baseline import FirstMask
from hqtrack.demo import missing_results, read_analysis
from hqtrack.evaluation.make_workspace import make_workspace
from hqtrack.scoring.annotated import OnDisk
from hqtrack.scoring.score import score_sequence
from hqtrack.synthetic import Scene, generate
from hqtrack.video import find_sequences, open_sequence, write_sequence

pytestmark = pytest.mark.slow

FRAMES = 6


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In one sequence the third object appears on the fourth frame only, in one the second goes."""
    folder = tmp_path_factory.mktemp("toolkit")
    still = Scene(speed=0.01, leaving=0.0, bystanders=0)
    images, masks = generate(11, FRAMES, (60, 80), 3, still)
    masks[:3][masks[:3] == 3] = 0
    write_sequence(folder / "in" / "late", images, masks)
    write_sequence(folder / "in" / "moving", *generate(12, FRAMES, (60, 80), 1, Scene(speed=2.0)))
    images, masks = generate(13, 14, (60, 80), 2, still)
    masks[2:-1][masks[2:-1] == 2] = 0
    write_sequence(folder / "in" / "gone", images, masks)
    make_workspace(folder / "workspace", find_sequences(folder / "in"))
    return folder / "workspace"


def vot(workspace: Path, command: str, *arguments: str) -> str:
    """What a command of the toolkit prints; it must not fail."""
    ended = subprocess.run(
        [sys.executable, "-m", "vot", command, "--workspace", str(workspace), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        env={**os.environ, "VOT_PERSISTENT_CACHE": "false"},
    )
    return ended.stdout


@pytest.fixture(scope="module")
def evaluated(workspace: Path) -> Path:
    output = vot(workspace, "evaluate", "FirstMask")
    assert "concluded" in output, output
    return workspace


@pytest.fixture(scope="module")
def report(evaluated: Path) -> dict[str, Any]:
    """What the toolkit's analysis writes."""
    vot(evaluated, "analysis", "FirstMask", "--format", "json", "--name", "all")
    written: dict[str, Any] = json.loads((evaluated / "analysis" / "all.json").read_text())
    return written


def test_all_results_are_there_and_repeat_the_first_masks(evaluated: Path) -> None:
    assert missing_results(evaluated, ("FirstMask",)) == []
    results = evaluated / "results" / "FirstMask" / "baseline" / "late"
    truth = read_trajectory(str(evaluated / "sequences" / "late" / "groundtruth_003.txt"))
    regions = read_trajectory(str(results / "late_003_001.bin"))
    assert all(isinstance(region, Special) for region in regions[:3])
    for region in regions[3:]:
        assert np.array_equal(region.rasterize((0, 0, 79, 59)), truth[3].rasterize((0, 0, 79, 59)))
    confidence = (results / "late_001_001_confidence.value").read_text().split()
    assert {float(value) for value in confidence} == {1.0}


def test_the_analysis_measures_quality(report: dict[str, Any]) -> None:
    analysis = read_analysis(report)
    late, moving = (analysis.by_sequence[name]["FirstMask"] for name in ("late", "moving"))
    assert late.accuracy > 0.8
    # the toolkit counts the first frame, on which nothing is tracked, as a miss
    assert late.robustness == pytest.approx((5 / 6 + 5 / 6 + 1) / 3)
    assert moving.quality < late.quality
    overall = analysis.overall["FirstMask"]
    by_sequence = [measures["FirstMask"] for measures in analysis.by_sequence.values()]
    assert overall == pytest.approx(np.mean(by_sequence, axis=0), abs=1e-6)


@pytest.mark.parametrize("name", ["gone", "moving"])
def test_the_analysis_agrees_with_hqtrack_score(
    evaluated: Path, report: dict[str, Any], name: str
) -> None:
    experiment = report["results"]["baseline"]
    found = {
        analysis["name"]: values[list(report["sequences"]).index(name)]
        for analysis, values in zip(
            experiment["parameters"]["analyses"], experiment["results"], strict=True
        )
        if analysis["name"].endswith("by sequence")
    }
    scored = score_sequence(FirstMask(), OnDisk(open_sequence(evaluated.parent / "in" / name)))
    quality, accuracy, robustness, *auxiliary = scored.vots
    assert found["Quality by sequence"] == pytest.approx([quality])
    assert found["Accuracy by sequence"] == pytest.approx([accuracy])
    assert found["Auxiliary by sequence"] == pytest.approx(auxiliary)
    nre, dre, adq = auxiliary
    assert robustness == pytest.approx(1 - nre - dre)
    assert adq == {"gone": 0, "moving": None}[name]


def test_results_can_be_packed(evaluated: Path) -> None:
    assert "successful" in vot(evaluated, "pack", "FirstMask")
    (archive,) = evaluated.glob("FirstMask_*.zip")
    with ZipFile(archive) as opened:
        assert "manifest.yml" in opened.namelist()
        assert "baseline/late/late_003_001.bin" in opened.namelist()
        manifest = opened.read("manifest.yml").decode()
    assert "tracker:models" in manifest
    assert str(Path.home()) not in manifest


def test_missing_weights_are_named_in_output_and_log(workspace: Path, tmp_path: Path) -> None:
    registry = tmp_path / "trackers.ini"
    source = Path(__file__).resolve().parents[3]
    registry.write_text(
        "[Lost]\nlabel = Lost\nprotocol = traxpython\ncommand = hqtrack.vot\n"
        f"paths = {source / 'tracker'}:{source / 'models'}\n"
        f"env_HQTRACK_PRESET = full\nenv_HQTRACK_WEIGHTS = {tmp_path}\n"
    )
    config = workspace / "config.yaml"
    config.write_text(f"registry: [{registry}]\nstack: stack.yaml\n")
    output = vot(workspace, "evaluate", "Lost")
    (log,) = (workspace / "logs").glob("Lost_*.log")
    assert "Server terminated the session" in output
    for text in (output, log.read_text()):
        assert f"are not in {tmp_path}" in text
        assert "hqtrack weights download" in text
    assert ("Lost", "late") in missing_results(workspace, ("Lost",))
