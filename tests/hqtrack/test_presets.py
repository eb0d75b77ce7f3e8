"""The one table of trackers, and that everything follows it."""

import subprocess
import sys
from pathlib import Path

import pytest

from hqtrack import environment, presets, weights
from hqtrack.baseline import FirstMask
from hqtrack.bench.pipeline import Setup
from hqtrack.build import CONFIGS, build_named, build_tracker
from hqtrack.cli import main
from hqtrack.errors import InputError
from hqtrack.files import shipped
from hqtrack.presets import FIRST_MASK, FULL, LIGHT, TRACKERS, WITH_NETWORKS
from hqtrack.tracker import HQTracker


def test_the_table() -> None:
    assert {
        preset.name: (preset.tracker, preset.checkpoints(), preset.idle_seconds)
        for preset in presets.PRESETS.values()
    } == {
        "full": ("HQTrack", ("vmos", "hqsam_vit_h"), 60.0),
        "plus": ("HQTrackPlus", ("vmos", "hqsam_vit_h"), 60.0),
        "light": ("HQTrackLight", ("light",), 60.0),
        "first-mask": ("FirstMask", (), 0.0),
    }


def test_names_are_unique_and_checkpoints_known() -> None:
    assert len(TRACKERS) == len(presets.PRESETS)
    names = [name for preset in TRACKERS.values() for name in preset.checkpoints()]
    assert set(names) <= set(weights.KNOWN)
    assert set(CONFIGS) == set(WITH_NETWORKS) == {"full", "plus", "light"}


@pytest.mark.parametrize(
    ("preset", "refiner", "names"),
    [
        (FULL, "vit_b", ("vmos", "hqsam_vit_b")),
        (LIGHT, "vit_b", ("light",)),
        (LIGHT, "light", ("light", "hqsam_light")),
        (FULL, "light", ("vmos", "hqsam_light")),
        (FIRST_MASK, "light", ()),
        (FIRST_MASK, "vit_b", ()),
    ],
)
def test_another_refiner_is_for_those_that_have_one(
    preset: presets.Preset, refiner: str, names: tuple[str, ...]
) -> None:
    assert preset.checkpoints(refiner) == names


def test_where_the_files_belong(tmp_path: Path) -> None:
    """What is part of the package is not looked for among the downloaded files."""
    settings = environment.read({"HQTRACK_WEIGHTS": str(tmp_path), "HQTRACK_REFINER": "vit_b"})
    assert FULL.files(settings) == [
        tmp_path / "save_step_42000.pth",
        tmp_path / "sam_hq_vit_b.pth",
    ]
    assert LIGHT.files(settings) == [shipped("light.safetensors")]
    assert FIRST_MASK.files(settings) == []
    with pytest.raises(InputError, match="hqsam_huge"):
        FULL.files(environment.read({"HQTRACK_REFINER": "huge"}))


def test_names_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match=r"no preset 'huge': choose one of full, plus, light$"):
        build_tracker("huge")
    with pytest.raises(
        InputError, match=r"no preset 'first-mask': choose one of full, plus, light$"
    ):
        build_tracker("first-mask")
    with pytest.raises(InputError, match=r"HQTrack, HQTrackPlus, HQTrackLight, FirstMask$"):
        build_named("light")


def test_a_refiner_that_would_be_ignored_is_refused() -> None:
    with pytest.raises(InputError, match=r"light tracker .* vit_b: give the refiner light"):
        build_tracker("light", refiner="vit_b")
    with pytest.raises(InputError, match=r"light tracker .* vit_b: give the refiner light"):
        build_named("HQTrackLight", refiner="vit_b")
    with pytest.raises(InputError, match=r"first-mask tracker .* light: give no refiner"):
        build_named("FirstMask", refiner="light")


@pytest.mark.parametrize(
    ("asked", "environment", "refined"),
    [(None, None, False), (None, "light", True), (None, "vit_b", False), ("light", "vit_b", True)],
)
def test_a_refiner_of_the_environment_is_for_those_that_take_it(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, environment: str | None, refined: bool
) -> None:
    if environment:
        monkeypatch.setenv("HQTRACK_REFINER", environment)
    tracker = build_named("HQTrackLight", "cpu", refiner=asked)
    assert isinstance(tracker, HQTracker)
    assert (tracker.refiner is not None) == refined


def test_a_tracker_without_networks_is_built_without_weights() -> None:
    assert isinstance(build_named("FirstMask"), FirstMask)


@pytest.mark.parametrize(
    ("setup", "names"),
    [
        (Setup("full"), ("vmos", "hqsam_vit_h")),
        (Setup("full", "vit_b"), ("vmos", "hqsam_vit_b")),
        (Setup("full", "none"), ("vmos",)),
        (Setup("light"), ("light",)),
        (Setup("light", "light"), ("light", "hqsam_light")),
        (Setup("light", "none"), ("light",)),
    ],
)
def test_what_a_measurement_loads(setup: Setup, names: tuple[str, ...]) -> None:
    assert setup.checkpoints == names


@pytest.mark.parametrize(
    ("command", "option", "names"),
    [
        (["run", "v", "--preset", "x"], "--preset", list(WITH_NETWORKS)),
        (["score", "--tracker", "x"], "--tracker", list(TRACKERS)),
        (["debug", "s", "--preset", "x"], "--preset", list(presets.PRESETS)),
    ],
)
def test_commands_offer_the_table(
    command: list[str], option: str, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(command)
    said = capsys.readouterr().err.replace("'", "")
    assert f"argument {option}: invalid choice: x (choose from {', '.join(names)})" in said


def test_the_table_is_light() -> None:
    program = "import sys, hqtrack.presets, hqtrack.environment; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "hqtrack.presets" in ended.stdout.split()
    assert not {"numpy", "torch", "trax", "cv2", "av"} & set(ended.stdout.split())
