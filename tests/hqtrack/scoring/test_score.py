"""Scoring with trackers whose answers are known."""

from types import SimpleNamespace

import numpy as np
import pytest

import hqtrack.scoring.score
from hqtrack.baseline import FirstMask
from hqtrack.scoring.annotated import OnDisk
from hqtrack.scoring.score import Score, mean_score, score_sequence
from hqtrack.scoring.vots import Tracks, VotsMeasures, analyse
from hqtrack.video import open_sequence
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
