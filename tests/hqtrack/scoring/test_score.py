"""Scoring with trackers whose answers are known."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as PillowImage

import hqtrack.scoring.score
from hqtrack.baseline import FirstMask
from hqtrack.scoring.annotated import OnDisk
from hqtrack.scoring.score import Score, mean_score, score_sequence
from hqtrack.scoring.vots import Tracks, VotsMeasures, analyse
from hqtrack.video import open_sequence
from hqtrack.video.mask_files import read_numbers
from tests.helpers.squares import Perfect, square_sequence


def test_a_perfect_tracker_scores_one_and_only_tracking_is_timed(tmp_path, monkeypatch):
    sequence = OnDisk(open_sequence(square_sequence(tmp_path / "moving", [0, 10, 20, 30])))
    tracker = Perfect()

    def advance():
        tracker.now += 50

    clock = SimpleNamespace(perf_counter=lambda: tracker.now)
    monkeypatch.setattr(hqtrack.scoring.score, "time", clock)
    score = score_sequence(tracker, sequence, advance)
    assert (score.region, score.boundary, score.frames, score.seconds) == (1, 1, 3, 6)
    assert score.fps == 0.5
    assert score.vots == VotsMeasures(0.75, 0.75, 0.75, 0.25, 0, None)
    assert tracker.now == 100 + 3 * 2 + 3 * 50


def test_j_and_f_leave_out_the_first_and_last_frame_and_quality_does_not(tmp_path):
    sequence = OnDisk(open_sequence(square_sequence(tmp_path / "moving", [0, 10, 40, 60])))
    score = score_sequence(FirstMask(), sequence)
    # object 1: J 1/3 and 0 on the two frames between; object 2: 1
    assert score.region == pytest.approx((1 / 6 + 1) / 2)
    assert 0.5 <= score.boundary < 1
    # of four frames, none is tracked on the first
    assert score.vots.quality == pytest.approx((1 / 3 / 4 + 3 / 4) / 2)


def test_the_mean_is_over_sequences_and_speed_over_frames():
    given = np.ones((1, 4, 4), bool)
    empty = np.zeros_like(given)

    def analysed(*reported):
        tracks = Tracks(given)
        for masks in reported:
            tracks.add(given, masks)
        return analyse(tracks)

    mean = mean_score(
        [
            Score(0.2, 0.4, analysed(given), 10, 5.0),
            Score(0.6, 0.8, analysed(given, empty, empty), 30, 5.0),
        ]
    )
    assert mean.region == pytest.approx(0.4)
    assert mean.boundary == pytest.approx(0.6)
    assert mean.vots.quality == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert mean.vots.nre == pytest.approx((1 / 2 + 3 / 4) / 2)
    assert mean.fps == pytest.approx(4)


def test_void_counts_in_no_measure(tmp_path):
    folder = square_sequence(tmp_path / "moving", [0, 10, 10, 10])
    plain = score_sequence(FirstMask(), OnDisk(open_sequence(folder)))
    for path in (folder / "masks").iterdir():
        labels = read_numbers(path)
        # what the first mask marks too much
        labels[10:30, :10][labels[10:30, :10] == 0] = 255
        PillowImage.fromarray(labels.astype(np.uint8)).save(path)
    score = score_sequence(FirstMask(), OnDisk(open_sequence(folder)))
    # object 1: half of it is found, and nothing beside it counts
    assert plain.region == pytest.approx((1 / 3 + 1) / 2)
    assert score.region == pytest.approx((1 / 2 + 1) / 2)
    assert score.boundary > plain.boundary
    assert score.vots.quality > plain.vots.quality


def test_void_is_said_once_for_a_sequence(tmp_path, capsys):
    folder = square_sequence(tmp_path / "moving", [0, 10, 10, 10])
    for path in (folder / "masks").iterdir():
        labels = read_numbers(path)
        labels[50:, 50:] = 255
        PillowImage.fromarray(labels.astype(np.uint8)).save(path)
    score_sequence(FirstMask(), OnDisk(open_sequence(folder)))
    assert capsys.readouterr().err.count("255 is void, 300 pixels") == 1
