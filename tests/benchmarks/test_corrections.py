"""The table of corrections, with a tracker that only repeats."""

import numpy as np
import pytest

from benchmarks.corrections import Round, anew, correct, follow, line, main, rounds
from hqtrack.baseline import FirstMask
from hqtrack.scoring.annotated import AnnotatedFrame
from hqtrack.segmenter import VideoObjectSegmenter
from hqtrack.synthetic import generate
from hqtrack.tracker import HQTracker
from hqtrack.video import write_sequence
from tests.helpers.tiny_segmenter import CONFIG
from tests.helpers.tiny_vmos import tiny_vmos


class Steps:
    """An object that jumps at frame 3 and at frame 6 of 9, counted from 0."""

    name, objects = "steps", (1,)

    def __len__(self):
        return 9

    def read(self):
        for index in range(9):
            mask = np.zeros((1, 4, 12), bool)
            left = 3 * (index // 3)
            mask[0, :, left : left + 4] = True
            yield AnnotatedFrame(f"{index}", np.zeros((4, 12, 3), np.uint8), mask)


@pytest.mark.parametrize("give", [correct, anew])
def test_each_round_mends_the_worst_frame_and_what_follows(give):
    done = rounds(FirstMask(), Steps(), 3, give)
    assert [each.frames for each in done] == [(), (6,), (6, 3)]
    first, second, third = done
    assert first.regions.tolist() == pytest.approx([1, 1, 1 / 7, 1 / 7, 1 / 7, 0, 0, 0])
    assert second.regions.tolist() == pytest.approx([1, 1, 1 / 7, 1 / 7, 1 / 7, 1, 1, 1])
    assert third.regions.tolist() == [1] * 8
    assert third.region == 1


@pytest.mark.parametrize("give", [correct, anew])
def test_what_lies_before_a_correction_is_not_tracked_again(give, monkeypatch):
    """And the rounds are those of a tracker that begins each time at the first frame."""
    monkeypatch.setattr("benchmarks.corrections._EVERY", 2)
    tracked = []
    track = HQTracker.track
    monkeypatch.setattr(HQTracker, "track", lambda *given: tracked.append(1) or track(*given))
    tracker = HQTracker(VideoObjectSegmenter(tiny_vmos(), CONFIG))
    for done in rounds(tracker, Steps(), 3, give):
        tracked.clear()
        again = follow(tracker, Steps(), done.frames, give)
        assert done.regions.tolist() == again.regions.tolist()
        assert len(tracked) == 8
    before = follow(tracker, Steps(), (), give)
    tracked.clear()
    follow(tracker, Steps(), (5,), give, before)
    assert len(tracked) == 5


def test_an_object_may_be_away_on_a_corrected_frame():
    tracker = FirstMask()
    anew(tracker, np.zeros((4, 12, 3), np.uint8), np.zeros((1, 4, 12), bool))
    assert tracker.track(np.zeros((4, 12, 3), np.uint8)).masks.sum() == 1


def test_the_last_frame_does_not_count():
    done = Round((), np.array([0.5, 0.75, 0.0], np.float32))
    assert (done.region, done.worst) == (0.625, 1)
    assert line("a", "correct", [done], 3) == "| a | correct | 0.625 |  |  |  |"
    assert Round((1,), np.array([1.0, 1.0, 0.0], np.float32)).worst is None


def test_it_prints_a_table(tmp_path, capsys):
    write_sequence(tmp_path / "two", *generate(seed=1, frames=4, objects=1, size=(48, 64)))
    assert main(["--data", str(tmp_path), "--corrections", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [row.split("|")[1:3] for row in lines[2:]] == [
        [" two ", " correct "],
        [" two ", " anew "],
        [" mean of 1 ", " correct "],
        [" mean of 1 ", " anew "],
    ]
    assert main(["--data", str(tmp_path), "--sequences", "nothing"]) == 2
    assert "no annotated sequence nothing" in capsys.readouterr().err
