"""Objects that join late or cannot be seen at first, before a tracker that notes its calls."""

from collections.abc import Sequence

import numpy as np
import pytest

from hqtrack.baseline import FirstMask
from hqtrack.errors import InputError
from hqtrack.joining import Corrections, JoinedVideo
from hqtrack.tracker import Tracked
from hqtrack.types import Image, Masks
from tests.helpers.fake_server import EMPTY, IMAGE, ONE, SIZE, THREE, TWO

NOBODY = np.zeros((0, *SIZE), np.bool_)


class Recorder(FirstMask):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, int]] = []

    def initialize(self, image: Image, masks: Masks) -> None:
        self.calls.append(("initialize", len(masks)))
        super().initialize(image, masks)

    def add_objects(self, image: Image, masks: Masks) -> None:
        self.calls.append(("add_objects", len(masks)))
        super().add_objects(image, masks)

    def correct(self, image: Image, masks: Masks, objects: Sequence[int]) -> None:
        self.calls.append(("correct", len(masks)))
        super().correct(image, masks, objects)

    def track(self, image: Image) -> Tracked:
        self.calls.append(("track", 0))
        return super().track(image)


def masks(*each: np.ndarray) -> Masks:
    return np.array(each, np.bool_).reshape(-1, *SIZE)


def test_first_masks_are_reported_as_they_came() -> None:
    """Also where they overlap, which is for the tracker to settle."""
    video = JoinedVideo()
    found, confidence = video.track(Recorder(), IMAGE, masks(ONE, EMPTY, ONE | TWO))
    assert np.array_equal(found, [ONE, EMPTY, ONE | TWO])
    assert confidence.tolist() == [1, 0, 1]
    assert confidence.dtype == np.float32
    assert video.tracked.tolist() == []


def test_objects_keep_their_order_and_empty_ones_stay() -> None:
    tracker, video = Recorder(), JoinedVideo()
    video.track(tracker, IMAGE, masks(ONE, EMPTY, TWO))
    found, confidence = video.track(tracker, IMAGE, NOBODY)
    assert np.array_equal(found, [ONE, EMPTY, TWO])
    assert confidence.tolist() == [1, 0, 1]
    assert video.tracked.tolist() == [True, False, True]
    assert tracker.calls == [("initialize", 2), ("track", 0)]


def test_later_objects_join_on_the_image_just_tracked_and_win_where_they_overlap() -> None:
    tracker, video = Recorder(), JoinedVideo()
    video.track(tracker, IMAGE, masks(ONE, TWO))
    found, confidence = video.track(tracker, IMAGE, masks(EMPTY, THREE))
    assert (TWO & THREE).any()
    assert np.array_equal(found, [ONE, TWO & ~THREE, EMPTY, THREE])
    assert confidence.tolist() == [1, 1, 0, 1]
    assert video.tracked.tolist() == [True, True]
    assert tracker.calls == [("initialize", 2), ("track", 0), ("add_objects", 1)]
    found, _ = video.track(tracker, IMAGE, NOBODY)
    assert np.array_equal(found, [ONE, TWO & ~THREE, EMPTY, THREE])
    assert video.tracked.tolist() == [True, True, False, True]


@pytest.mark.parametrize("first", [NOBODY, masks(EMPTY)], ids=["none", "empty"])
def test_the_tracker_starts_with_the_first_object_that_is_seen(first: Masks) -> None:
    tracker, video = Recorder(), JoinedVideo()
    for new in (first, NOBODY):
        found, confidence = video.track(tracker, IMAGE, new)
        assert np.array_equal(found, first)
        assert confidence.tolist() == [0] * len(first)
    found, _ = video.track(tracker, IMAGE, masks(ONE))
    assert np.array_equal(found, [*first, ONE])
    assert tracker.calls == [("initialize", 1)]


def test_an_image_of_another_size_is_refused_even_without_objects() -> None:
    tracker, video = Recorder(), JoinedVideo()
    video.track(tracker, IMAGE, masks(EMPTY))
    with pytest.raises(InputError, match="30x20"):
        video.track(tracker, IMAGE[:-1], NOBODY[:, :-1])


def test_corrections_win_over_tracked_masks_and_new_objects_over_both() -> None:
    tracker, video = Recorder(), JoinedVideo()
    video.track(tracker, IMAGE, masks(ONE, TWO))
    right = Corrections((0,), masks(TWO | THREE))
    found, confidence = video.track(tracker, IMAGE, masks(THREE), right)
    expected = [(TWO | THREE) & ~THREE, np.zeros(SIZE, bool), THREE]
    assert (TWO & THREE).any()
    assert np.array_equal(found, expected)
    assert confidence.tolist() == [1, 1, 1]
    assert [call for call, _ in tracker.calls] == ["initialize", "track", "correct", "add_objects"]
    assert np.array_equal(video.track(tracker, IMAGE, NOBODY).masks, expected)


def test_a_correction_may_say_that_an_object_is_not_there() -> None:
    tracker, video = Recorder(), JoinedVideo()
    video.track(tracker, IMAGE, masks(ONE, TWO))
    found, confidence = video.track(tracker, IMAGE, NOBODY, Corrections((1,), masks(EMPTY)))
    assert np.array_equal(found, [ONE, EMPTY])
    assert confidence.tolist() == [1, 0]
    assert np.array_equal(video.track(tracker, IMAGE, NOBODY).masks, [ONE, EMPTY])


def test_a_correction_shows_an_object_that_could_not_be_seen() -> None:
    """The tracker gets it after the others; the video reports all in the order of the objects."""
    tracker, video = Recorder(), JoinedVideo()
    video.track(tracker, IMAGE, masks(EMPTY, EMPTY, ONE))
    video.track(tracker, IMAGE, NOBODY, Corrections((1, 0), masks(EMPTY, EMPTY)))
    video.track(tracker, IMAGE, NOBODY, Corrections((0,), masks(THREE)))
    assert tracker.calls == [("initialize", 1), ("track", 0), ("track", 0), ("add_objects", 1)]
    found, confidence = video.track(tracker, IMAGE, NOBODY)
    assert np.array_equal(found, [THREE, EMPTY, ONE])
    assert confidence.tolist() == [1, 0, 1]
    found, _ = video.track(tracker, IMAGE, NOBODY, Corrections((0, 2), masks(ONE, THREE)))
    assert tracker.calls[-1] == ("correct", 2)
    assert np.array_equal(video.track(tracker, IMAGE, NOBODY).masks, [ONE & ~THREE, EMPTY, THREE])
