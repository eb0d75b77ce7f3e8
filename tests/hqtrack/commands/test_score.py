"""``hqtrack score`` with trackers whose answers are known."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from hqtrack.baseline import FirstMask
from hqtrack.cli import main
from hqtrack.records.record import Heading, Origin, read_heading, recorded_frames
from hqtrack.scoring.mosaic import blank_schedule
from hqtrack.synthetic import FRAMES, RESERVED_SEED
from hqtrack.video import write_labels
from tests.helpers.squares import HEIGHT, WIDTH, Perfect, square_sequence


@pytest.fixture
def built(monkeypatch):
    """What was asked of hqtrack.build, which builds the trackers above instead of networks."""
    asked = []

    def build_named(name, device=None, weights=None, exact=False, rules=None, refiner=None):
        asked.append((name, device, weights, exact, rules, refiner))
        return FirstMask() if name == "FirstMask" else Perfect()

    monkeypatch.setitem(sys.modules, "hqtrack.build", SimpleNamespace(build_named=build_named))
    return asked


MEASURES = ["J", "F", "fps", "Quality", "accuracy", "robustness", "NRE", "DRE", "ADQ"]


def scored(capsys, *arguments):
    """What the command prints as JSON for the tracker that repeats the first masks."""
    assert main(["score", *map(str, arguments), "--tracker", "FirstMask", "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_json_is_the_last_line_of_stdout(tmp_path, built, capsys):
    square_sequence(tmp_path / "moving", [0, 10, 40, 60])
    square_sequence(tmp_path / "still", [0, 0, 0, 0])
    result = scored(capsys, tmp_path)
    assert list(result) == [*MEASURES, "sequences"]
    assert list(result["sequences"]) == ["moving", "still"]
    assert list(result["sequences"]["still"]) == MEASURES
    assert result["sequences"]["still"]["J"] == 1
    assert result["sequences"]["moving"]["J"] == pytest.approx(7 / 12)
    assert result["J"] == pytest.approx((1 + 7 / 12) / 2)
    assert result["Quality"] == pytest.approx((3 / 4 + (1 / 12 + 3 / 4) / 2) / 2)
    assert result["ADQ"] is None
    assert result["fps"] > 0


def test_mosaics_with_blank_tiles(tmp_path, built, capsys):
    for name in ("a", "b"):
        square_sequence(tmp_path / name, [0] * 40)
    options = ("--mosaic", "2x1", "--size", "160x60")
    assert scored(capsys, tmp_path, *options)["J"] == 1
    result = scored(capsys, tmp_path, *options, "--blank", 7)
    assert list(result["sequences"]) == ["2x1_blank_01"]
    # both objects of a tile are absent while it is blank, and reported all the same
    assert result["J"] == pytest.approx(1 - blank_schedule(7, 2, 40)[1:-1].mean())
    assert result["ADQ"] == 0


def test_generated_sequences(built, capsys):
    result = scored(capsys, "--generated", 2, "--objects", 4)
    first, second = result["sequences"]
    assert (first, second) == (f"04_objects_{RESERVED_SEED}", f"04_objects_{RESERVED_SEED + 1}")
    assert 0 < result["J"] < 0.5
    assert result["Quality"] < result["J"] * (FRAMES - 1) / FRAMES + 1 / FRAMES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either a folder of sequences or --generated"),
        (["DIR", "--generated", "2"], "either a folder of sequences or --generated"),
        (["DIR", "--objects", "2"], "to --generated sequences"),
        (["DIR", "--blank"], "give one, for example 2x2"),
        (["DIR", "--size", "160x90"], "give one, for example 2x2"),
        (["DIR", "--mosaic", "6x2", "--size", "90x90"], "6x2 tiles do not fit 90x90"),
        (["DIR", "--mosaic", "2x2", "--blank"], "3 frames are too few"),
        (["--generated", "0"], "0 generated sequences: give 1 or more"),
        (["--generated", "1", "--objects", "0"], "0 objects: give 1 to 12"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path, built, capsys, arguments, message):
    square_sequence(tmp_path / "still", [0, 0, 0])
    arguments = [str(tmp_path) if word == "DIR" else word for word in arguments]
    assert main(["score", *arguments, "--tracker", "FirstMask"]) == 2
    assert message in capsys.readouterr().err
    assert built == []


@pytest.mark.parametrize("grid", ["2", "2x", "0x2", "axb"])
def test_what_is_no_grid_is_refused(tmp_path, capsys, grid):
    with pytest.raises(SystemExit):
        main(["score", str(tmp_path), "--tracker", "FirstMask", "--mosaic", grid])
    assert "write it as 4x3, columns first" in capsys.readouterr().err


def test_what_was_scored_is_recorded(tmp_path, built, capsys):
    square_sequence(tmp_path / "in" / "moving", [0, 10, 40, 60])
    arguments = ["score", str(tmp_path / "in"), "--tracker", "FirstMask", "--json"]
    assert main([*arguments, "--record", str(tmp_path / "out")]) == 0
    assert json.loads(capsys.readouterr().out)["J"] == pytest.approx(7 / 12)
    frames = list(recorded_frames(tmp_path / "out" / "moving"))
    assert read_heading(tmp_path / "out" / "moving") == Heading(
        "moving", "FirstMask", {1: "1", 2: "2"}
    )
    assert [frame.name for frame in frames] == [f"0000000{number}.png" for number in (1, 2, 3, 4)]
    assert [found.origin for found in frames[0].objects] == [Origin.GIVEN] * 2
    moving = [frame.objects[0] for frame in frames]
    assert [found.region for found in moving] == [None, 0.3333, 0, 0]
    assert moving[1].origin is Origin.TRACKED
    assert moving[1].boundary < 1
    assert moving[1].truth != moving[1].chosen == moving[0].chosen


def test_the_table_has_every_sequence_and_the_mean(tmp_path, built, capsys):
    square_sequence(tmp_path / "moving", [0, 10, 20, 30])
    arguments = ["score", str(tmp_path), "--tracker", "HQTrackLight", "--device", "cpu"]
    assert main([*arguments, "--exact", "--refiner", "light"]) == 0
    lines = [line.split("│") for line in capsys.readouterr().out.splitlines()]
    rows = [[cell.strip() for cell in line[1:-1]] for line in lines if len(line) > 3]
    assert [(row[0], row[1]) for row in rows[:2]] == [("moving", "1.000"), ("mean", "1.000")]
    vots = ["0.750", "0.750", "0.750", "0.250", "0.000", ""]
    assert rows[2:] == [["moving", *vots], ["mean", *vots]]
    assert built == [("HQTrackLight", "cpu", None, True, None, "light")]


def test_sequences_that_cannot_be_scored_are_named_on_stderr(tmp_path, built, capsys):
    square_sequence(tmp_path / "good", [0, 0, 0])
    square_sequence(tmp_path / "partly", [0, 0, 0], annotated=(1, 3))
    square_sequence(tmp_path / "short", [0, 0])
    write_labels(
        square_sequence(tmp_path / "nothing", [0, 0, 0]) / "masks" / "00000001.png",
        np.zeros((HEIGHT, WIDTH), np.int32),
    )
    assert main(["score", str(tmp_path), "--tracker", "FirstMask", "--json"]) == 0
    captured = capsys.readouterr()
    assert list(json.loads(captured.out)["sequences"]) == ["good"]
    assert "skipped partly: 2 of 3 frames have a mask" in captured.err
    assert "skipped short" in captured.err
    assert "skipped nothing: there is no object" in captured.err


def test_nothing_to_score_is_an_error_before_anything_is_built(tmp_path, built, capsys):
    square_sequence(tmp_path / "partly", [0, 0, 0], annotated=(1,))
    assert main(["score", str(tmp_path), "--tracker", "FirstMask"]) == 2
    assert "nothing to score" in capsys.readouterr().err
    assert built == []


def test_a_gap_is_an_error_before_anything_is_built(tmp_path, built, capsys):
    square_sequence(tmp_path / "good", [0, 0, 0])
    broken = square_sequence(tmp_path / "broken", [0, 0, 0])
    (broken / "color" / "00000002.png").unlink()
    assert main(["score", str(tmp_path), "--tracker", "FirstMask"]) == 2
    assert "broken has no frame 00000002.png" in capsys.readouterr().err
    assert built == []


@pytest.mark.slow
def test_the_baseline_on_the_shared_sequences(shared, built, capsys):
    folder = shared / "data" / "sequences"
    assert main(["score", str(folder), "--tracker", "FirstMask", "--json"]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out.splitlines()[-1])
    assert len(result["sequences"]) == 7
    assert result["J"] == pytest.approx(0.238, abs=0.0005)
    assert captured.err.count("skipped") == 4
