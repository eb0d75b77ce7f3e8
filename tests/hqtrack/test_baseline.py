"""The tracker that repeats the first masks."""

import numpy as np
import pytest

from hqtrack.baseline import FirstMask
from hqtrack.errors import InputError

IMAGE = np.zeros((4, 6, 3), np.uint8)


def mask(left, right):
    mask = np.zeros((1, 4, 6), bool)
    mask[0, :, left:right] = True
    return mask


def test_repeats_masks_and_copies_them():
    tracker, masks = FirstMask(), np.concatenate([mask(0, 3), mask(2, 5)])
    tracker.initialize(IMAGE, masks)
    expected = masks.copy()
    masks[:] = False
    tracker.track(IMAGE).masks[:] = False
    tracked = tracker.track(IMAGE)
    np.testing.assert_array_equal(tracked.masks, expected)
    assert tracked.confidence.tolist() == [1, 1]
    assert tracked.confidence.dtype == np.float32


def test_later_objects_join_and_win():
    tracker = FirstMask()
    tracker.initialize(IMAGE, mask(0, 3))
    tracker.add_objects(IMAGE, mask(2, 5))
    np.testing.assert_array_equal(
        tracker.track(IMAGE).masks, np.concatenate([mask(0, 2), mask(2, 5)])
    )


def test_a_second_initialize_forgets_the_first_video():
    tracker = FirstMask()
    tracker.initialize(IMAGE, np.concatenate([mask(0, 3), mask(2, 5)]))
    tracker.initialize(np.zeros((2, 2, 3), np.uint8), np.ones((1, 2, 2), bool))
    assert tracker.track(np.zeros((2, 2, 3), np.uint8)).masks.shape == (1, 2, 2)


def test_bad_input_is_refused():
    tracker = FirstMask()
    with pytest.raises(InputError, match="initialize"):
        tracker.track(IMAGE)
    with pytest.raises(InputError, match="at least one mask"):
        tracker.initialize(IMAGE, np.zeros((0, 4, 6), bool))
    tracker.initialize(IMAGE, mask(0, 3))
    with pytest.raises(InputError, match="6x5 but the video started with 6x4"):
        tracker.track(np.zeros((5, 6, 3), np.uint8))
    with pytest.raises(InputError, match="empty first mask of object 0"):
        tracker.add_objects(IMAGE, mask(0, 0))


def test_a_correction_replaces_a_mask_and_wins():
    tracker = FirstMask()
    tracker.initialize(IMAGE, np.concatenate([mask(0, 3), mask(3, 5)]))
    tracker.correct(IMAGE, mask(2, 4), [0])
    expected = np.concatenate([mask(2, 4), mask(4, 5)])
    np.testing.assert_array_equal(tracker.track(IMAGE).masks, expected)
    for masks, objects, message in [
        (mask(0, 1), [2], "no object 2 to correct: the video has 2"),
        (mask(0, 1), [-1], "no object -1"),
        (mask(0, 1), [0, 1], "1 masks for 2 objects"),
        (np.concatenate([mask(0, 1), mask(1, 2)]), [1, 1], "corrected twice"),
    ]:
        with pytest.raises(InputError, match=message):
            tracker.correct(IMAGE, masks, objects)
    with pytest.raises(InputError, match="another image"):
        tracker.correct(IMAGE + 1, mask(0, 1), [0])
    np.testing.assert_array_equal(tracker.track(IMAGE).masks, expected)
