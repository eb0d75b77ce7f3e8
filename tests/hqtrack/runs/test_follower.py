"""Objects that start on their frames, and going over frames again."""

from dataclasses import replace

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.refiner import Candidates
from hqtrack.runs.follower import Follower, check_starts
from hqtrack.runs.targets import Correction, Gone, MaskFile, Points, Target, read_label_file
from hqtrack.segmenter import VideoObjectSegmenter
from hqtrack.tracker import HQTracker
from hqtrack.video import write_labels
from hqtrack.video.streams import Frame
from tests.helpers.filled_prompts import FilledPrompts
from tests.helpers.moving import Moving
from tests.helpers.tiny_segmenter import CONFIG, HEIGHT, WIDTH, rectangles, video
from tests.helpers.tiny_vmos import tiny_vmos


@pytest.fixture
def masks():
    return rectangles(3)


@pytest.fixture
def targets(tmp_path, masks):
    """Objects 5, 7 and 9, from the first frame, frame 3 and frame 3 on."""
    labels = np.select(list(masks), [5, 7, 9], 0)
    write_labels(tmp_path / "m.png", labels)
    file = read_label_file(tmp_path / "m.png")
    starts = [(5, None), (7, 3), (9, 3)]
    return [Target(f"n{n}", n, frame, MaskFile(file, n)) for n, frame in starts]


def frames(count):
    return [Frame(n, f"{n:08d}", image) for n, image in enumerate(video(count), start=1)]


def test_objects_start_on_their_frames_and_move_on(targets, masks):
    follower = Follower(Moving(), targets, FilledPrompts())
    followed = [follower.follow(frame) for frame in frames(4)]
    numbers = [[target.number for target in f.targets] for f in followed]
    assert numbers == [[5], [5], [5, 7, 9], [5, 7, 9]]
    assert [f.confidence.tolist() for f in followed] == [
        [1.0],
        [0.5],
        [0.5, 1.0, 1.0],
        [0.5, 0.25, 0.25],
    ]
    covered = np.roll(masks[0], 2, axis=1) & ~masks[1] & ~masks[2]
    np.testing.assert_array_equal(followed[2].masks, [covered, masks[1], masks[2]])
    np.testing.assert_array_equal(followed[3].masks[1], np.roll(masks[1], 1, axis=1))


def test_frames_before_the_first_object_have_none(targets):
    tracker = Moving()
    follower = Follower(tracker, targets[1:], FilledPrompts())
    followed = [follower.follow(frame) for frame in frames(4)]
    assert [f.masks.shape for f in followed] == [(count, HEIGHT, WIDTH) for count in (0, 0, 2, 2)]
    assert len(tracker.seen) == 2
    assert follower.pending == []


def test_pending_objects_are_known(targets):
    follower = Follower(Moving(), targets, FilledPrompts())
    follower.follow(frames(1)[0])
    assert follower.pending == targets[1:]


class Shifting:
    """A refiner that proposes each mask moved down by a row; counts its calls."""

    calls = 0

    def refine(self, image, masks):
        self.calls += 1
        return Candidates(np.roll(masks, 1, axis=1)[:, None], np.ones((len(masks), 1), np.float32))


def test_repeating_frames_leaves_the_tracker_as_following_them_does(targets):
    """Exactly: so a run that was stopped and one that was not give the same masks."""

    def follower():
        refiner = Shifting()
        segmenter = VideoObjectSegmenter(tiny_vmos(), CONFIG)
        return Follower(HQTracker(segmenter, refiner), targets, FilledPrompts()), refiner

    whole, _ = follower()
    expected = [whole.follow(frame) for frame in frames(9)]
    resumed, refiner = follower()
    coarse = [resumed.repeat(frame) for frame in frames(9)[:5]]
    assert refiner.calls == 0
    assert any((c.masks != e.masks).any() for c, e in zip(coarse, expected, strict=False))
    for frame, one in zip(frames(9)[5:], expected[5:], strict=True):
        other = resumed.follow(frame)
        np.testing.assert_array_equal(other.masks, one.masks)
        np.testing.assert_array_equal(other.confidence, one.confidence)
        assert other.masks.any()


def ball(frame):
    return Target("ball", 1, frame, Points(((1, 1),)))


@pytest.mark.parametrize("frame", [None, 3, 5, 9])
def test_starts_that_fit(frame):
    check_starts([ball(frame)], start=3, every=2, total=9, live=False)
    check_starts([ball(frame)], start=3, every=2, total=None, live=False)


@pytest.mark.parametrize(
    ("frame", "live", "message"),
    [
        (4, False, "ball starts on frame 4, which --start 3 --every 2 skips.* 3, 5, 7, "),
        (1, False, "starts on frame 1, which --start 3"),
        (11, False, "ball starts on frame 11, and the video has 9"),
        (5, True, "ball starts on frame 5, which a live video"),
    ],
)
def test_starts_that_do_not(frame, live, message):
    with pytest.raises(InputError, match=message):
        check_starts([ball(None), ball(frame)], start=3, every=2, total=9, live=live)


def test_corrections_that_do_not_fit():
    corrected = replace(ball(5), corrections=(Correction(6, Gone()),))
    with pytest.raises(InputError, match="ball is corrected on frame 6, which --start 3 --every 2"):
        check_starts([corrected], start=3, every=2, total=9, live=False)
    at_once = replace(ball(None), corrections=(Correction(3, Gone()),))
    with pytest.raises(InputError, match="starts on frame 3, and is corrected there"):
        check_starts([at_once], start=3, every=2, total=9, live=False)


def test_corrections_come_on_their_frames_and_tracking_goes_on_from_there(targets, masks):
    prompt = targets[1].prompt
    first = replace(targets[0], corrections=(Correction(2, prompt), Correction(4, Gone())))
    tracker = Moving()
    follower = Follower(tracker, [first, targets[2]], FilledPrompts())
    followed = [follower.follow(frame) for frame in frames(3)]
    assert [f.confidence.tolist() for f in followed] == [[1.0], [1.0], [0.5, 1.0]]
    np.testing.assert_array_equal(followed[1].masks, [masks[1]])
    expected = np.roll(masks[1], 1, axis=1) & ~masks[2]
    np.testing.assert_array_equal(followed[2].masks, [expected, masks[2]])
    assert follower.pending == [first.given[2]]
    gone = follower.follow(frames(4)[3])
    np.testing.assert_array_equal(gone.masks[0], np.zeros((HEIGHT, WIDTH)))
    assert gone.confidence.tolist() == [0.0, 0.25]
    assert follower.pending == []


def test_a_correction_that_does_not_fit_the_frame_is_refused_at_once(targets):
    wrong = replace(targets[0], corrections=(Correction(3, Points(((99, 1),))),))
    with pytest.raises(InputError, match="point:99,1 is outside the frame"):
        Follower(Moving(), [wrong], FilledPrompts()).follow(frames(1)[0])


def test_going_on_from_a_saved_state_is_as_if_all_frames_had_been_followed(targets):
    """Also with a correction after it, by a follower that knows of it."""
    tracker = HQTracker(VideoObjectSegmenter(tiny_vmos(), CONFIG))
    follower = Follower(tracker, targets, FilledPrompts())
    assert follower.save() is None
    for frame in frames(5):
        follower.follow(frame)
    saved = follower.save()
    assert saved.frame == 5
    for frame in frames(9)[5:]:
        follower.follow(frame)
    corrected = [replace(targets[0], corrections=(Correction(7, targets[1].prompt),)), *targets[1:]]
    resumed = Follower(tracker, corrected, FilledPrompts())
    resumed.resume(saved)
    assert [each.frame for each in resumed.pending] == [7]
    found = [resumed.follow(frame) for frame in frames(9)[5:]]
    whole = Follower(
        HQTracker(VideoObjectSegmenter(tiny_vmos(), CONFIG)), corrected, FilledPrompts()
    )
    expected = [whole.follow(frame) for frame in frames(9)][5:]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.masks, other.masks)
        np.testing.assert_array_equal(one.confidence, other.confidence)
        assert one.targets == other.targets


def test_a_tracker_without_states_has_none(targets):
    follower = Follower(Moving(), targets, FilledPrompts())
    follower.follow(frames(1)[0])
    assert follower.save() is None
