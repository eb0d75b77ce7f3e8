"""Pictures of gains and losses."""

import numpy as np

from training.hqsam.changes import SIDE, Change, changes_of, extremes, sheet

IMAGE = np.full((40, 60, 3), 200, np.uint8)


def square(left, top, side=10):
    mask = np.zeros((40, 60), np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def change(gain):
    return Change(gain, str(gain), np.zeros((SIDE, 3 * SIDE, 3), np.uint8))


def test_only_objects_with_another_mask_are_shown():
    coarse = np.stack([square(5, 5), square(30, 20)])
    reported = np.stack([square(5, 5), square(32, 20)])
    gains = np.array([0.0, 0.25], np.float32)
    (found,) = changes_of("dog 00000007", IMAGE, coarse, reported, reported, gains)
    assert (found.gain, found.name) == (0.25, "dog 00000007, object 2")
    assert found.picture.shape == (SIDE, 3 * SIDE, 3)
    coarse_part, reported_part, true_part = np.split(found.picture, 3, axis=1)
    np.testing.assert_array_equal(reported_part, true_part)
    assert (coarse_part != reported_part).any()


def test_a_mask_that_vanishes_at_the_border_is_shown_too():
    coarse, reported = square(55, 35, 5)[None], square(0, 0, 0)[None]
    (found,) = changes_of("x", IMAGE, coarse, reported, coarse, np.array([-1.0], np.float32))
    assert found.gain == -1


def test_the_largest_gains_come_first_then_the_largest_losses():
    changes = [change(gain) for gain in (0.1, -0.3, 0.0, 0.5, -0.1, 0.2)]
    assert [each.gain for each in extremes(changes, 2)] == [0.5, 0.2, -0.3, -0.1]
    assert extremes([change(0.0)], 2) == []


def test_a_sheet_has_two_columns():
    assert sheet([change(0.1)] * 3).shape[1] == 6 * SIDE
    assert sheet([change(0.1)] * 3).shape == sheet([change(0.1)] * 4).shape
    assert sheet([change(0.1)] * 5).shape[0] > sheet([change(0.1)] * 4).shape[0]
