"""Scoring with trackers whose answers are known."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as PillowImage

import hqtrack.score
from hqtrack.baseline import FirstMask
from hqtrack.cli import main
from hqtrack.errors import InputError
from hqtrack.record import Heading, Origin, read_heading, recorded_frames
from hqtrack.score import Score, mean_score, score_sequence
from hqtrack.tracker import Tracked
from hqtrack.video import open_sequence, write_labels

HEIGHT, WIDTH = 60, 80


def make_sequence(folder, lefts, annotated=None):
    """Object 1, a square whose left side moves as told; object 2, one that stays."""
    (folder / "color").mkdir(parents=True)
    (folder / "masks").mkdir()
    for number, left in enumerate(lefts, start=1):
        labels = np.zeros((HEIGHT, WIDTH), np.int32)
        labels[10:30, left : left + 20] = 1
        labels[40:50, 10:20] = 2
        image = np.repeat(labels[:, :, None] * 100, 3, axis=2).astype(np.uint8)
        PillowImage.fromarray(image).save(folder / "color" / f"{number:08d}.png")
        if annotated is None or number in annotated:
            write_labels(folder / "masks" / f"{number:08d}.png", labels)
    return folder


class Perfect:
    """Reads the masks off the images, which show them; takes 100 s to start and 2 s a frame."""

    now = 0.0

    def initialize(self, image, masks):
        self.now += 100
        self.count = len(masks)

    def track(self, image):
        self.now += 2
        masks = np.stack([image[:, :, 0] == 100 * (n + 1) for n in range(self.count)])
        return Tracked(masks, np.ones(self.count, np.float32))


@pytest.fixture
def built(monkeypatch):
    """What was asked of hqtrack.build, which builds the trackers above instead of networks."""
    asked = []

    def build_named(name, device=None, weights=None):
        asked.append((name, device, weights))
        return FirstMask() if name == "FirstMask" else Perfect()

    monkeypatch.setitem(sys.modules, "hqtrack.build", SimpleNamespace(build_named=build_named))
    return asked


def test_a_perfect_tracker_scores_one_and_only_tracking_is_timed(tmp_path, monkeypatch):
    sequence = open_sequence(make_sequence(tmp_path / "moving", [0, 10, 20, 30]))
    tracker = Perfect()

    def advance():
        tracker.now += 50

    clock = SimpleNamespace(perf_counter=lambda: tracker.now)
    monkeypatch.setattr(hqtrack.score, "time", clock)
    score = score_sequence(tracker, sequence, advance)
    assert score == Score(1, 1, frames=2, seconds=4)
    assert score.fps == 0.5
    assert tracker.now == 100 + 2 * 2 + 2 * 50


def test_mean_over_frames_and_objects_without_the_first_and_last_frame(tmp_path):
    sequence = open_sequence(make_sequence(tmp_path / "moving", [0, 10, 40, 60]))
    score = score_sequence(FirstMask(), sequence)
    # object 1: J 1/3 and 0 on the two frames between; object 2: 1
    assert score.region == pytest.approx((1 / 6 + 1) / 2)
    assert 0.5 <= score.boundary < 1


def test_the_mean_is_over_sequences_and_speed_over_frames():
    mean = mean_score([Score(0.2, 0.4, 10, 5.0), Score(0.6, 0.8, 30, 5.0)])
    assert mean.region == pytest.approx(0.4)
    assert mean.boundary == pytest.approx(0.6)
    assert mean.fps == pytest.approx(4)


def test_json_is_the_last_line_of_stdout(tmp_path, built, capsys):
    make_sequence(tmp_path / "moving", [0, 10, 40, 60])
    make_sequence(tmp_path / "still", [0, 0, 0, 0])
    assert main(["score", str(tmp_path), "--tracker", "FirstMask", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(result) == ["J", "F", "fps", "sequences"]
    assert list(result["sequences"]) == ["moving", "still"]
    assert result["sequences"]["still"]["J"] == 1
    assert result["sequences"]["moving"]["J"] == pytest.approx(7 / 12)
    assert result["J"] == pytest.approx((1 + 7 / 12) / 2)
    assert result["fps"] > 0


def test_what_was_scored_is_recorded(tmp_path, built, capsys):
    make_sequence(tmp_path / "in" / "moving", [0, 10, 40, 60])
    arguments = ["score", str(tmp_path / "in"), "--tracker", "FirstMask", "--json"]
    assert main([*arguments, "--record", str(tmp_path / "out")]) == 0
    assert json.loads(capsys.readouterr().out)["J"] == pytest.approx(7 / 12)
    frames = list(recorded_frames(tmp_path / "out" / "moving"))
    assert read_heading(tmp_path / "out" / "moving") == Heading(
        "moving", "FirstMask", {1: "1", 2: "2"}
    )
    assert [frame.name for frame in frames] == [f"0000000{number}.png" for number in (1, 2, 3)]
    assert [found.origin for found in frames[0].objects] == [Origin.GIVEN] * 2
    moving = [frame.objects[0] for frame in frames]
    assert [found.region for found in moving] == [None, 0.3333, 0]
    assert moving[1].origin is Origin.TRACKED
    assert moving[1].boundary < 1
    assert moving[1].truth != moving[1].chosen == moving[0].chosen


def test_the_table_has_every_sequence_and_the_mean(tmp_path, built, capsys):
    make_sequence(tmp_path / "moving", [0, 10, 20, 30])
    arguments = ["score", str(tmp_path), "--tracker", "HQTrackLight", "--device", "cpu"]
    assert main(arguments) == 0
    rows = [line.split("│") for line in capsys.readouterr().out.splitlines()]
    cells = {row[1].strip(): row[2].strip() for row in rows if len(row) > 3}
    assert cells == {"moving": "1.000", "mean": "1.000"}
    assert built == [("HQTrackLight", "cpu", None)]


def test_sequences_that_cannot_be_scored_are_named_on_stderr(tmp_path, built, capsys):
    make_sequence(tmp_path / "good", [0, 0, 0])
    make_sequence(tmp_path / "partly", [0, 0, 0], annotated=(1, 3))
    make_sequence(tmp_path / "short", [0, 0])
    write_labels(
        make_sequence(tmp_path / "nothing", [0, 0, 0]) / "masks" / "00000001.png",
        np.zeros((HEIGHT, WIDTH), np.int32),
    )
    assert main(["score", str(tmp_path), "--tracker", "FirstMask", "--json"]) == 0
    captured = capsys.readouterr()
    assert list(json.loads(captured.out)["sequences"]) == ["good"]
    assert "skipped partly: 2 of 3 frames have a mask" in captured.err
    assert "skipped short" in captured.err
    assert "skipped nothing: there is no object" in captured.err


def test_nothing_to_score_is_an_error_before_anything_is_built(tmp_path, built, capsys):
    make_sequence(tmp_path / "partly", [0, 0, 0], annotated=(1,))
    assert main(["score", str(tmp_path), "--tracker", "FirstMask"]) == 2
    assert "nothing to score" in capsys.readouterr().err
    assert built == []


def test_a_gap_is_an_error_before_anything_is_built(tmp_path, built, capsys):
    make_sequence(tmp_path / "good", [0, 0, 0])
    broken = make_sequence(tmp_path / "broken", [0, 0, 0])
    (broken / "color" / "00000002.png").unlink()
    assert main(["score", str(tmp_path), "--tracker", "FirstMask"]) == 2
    assert "broken has no frame 00000002.png" in capsys.readouterr().err
    assert built == []


@pytest.mark.parametrize("name", ["00000001.png", "00000002.png"])
def test_label_maps_of_another_size_than_the_images_are_refused(tmp_path, name):
    folder = make_sequence(tmp_path / "moving", [0, 0, 0])
    write_labels(folder / "masks" / name, np.ones((HEIGHT, WIDTH - 1), np.int32))
    with pytest.raises(InputError, match=f"{name} is 79x60 but its image is 80x60"):
        score_sequence(FirstMask(), open_sequence(folder))


@pytest.mark.slow
def test_the_baseline_on_the_shared_sequences(shared, built, capsys):
    folder = shared / "data" / "sequences"
    assert main(["score", str(folder), "--tracker", "FirstMask", "--json"]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out.splitlines()[-1])
    assert len(result["sequences"]) == 7
    assert result["J"] == pytest.approx(0.238, abs=0.0005)
    assert captured.err.count("skipped") == 4
