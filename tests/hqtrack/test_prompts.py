"""Prompts that cannot be used are refused in a line that says what to do."""

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.prompts import check_prompts, obeying

NAN = float("nan")


def test_prompts_become_arrays():
    prompts = check_prompts([[0, 0, 9, 9]], [[[3, 4], [0, 0]]], [[1, -1]], 60, 90)
    assert prompts.count == 1
    assert (prompts.boxes.shape, prompts.points.shape) == ((1, 4), (1, 2, 2))
    assert prompts.labels.tolist() == [[1, -1]]


@pytest.mark.parametrize(
    "given", [([], None, None), (None, [], []), (np.zeros((0, 4)), None, None)]
)
def test_no_object_is_no_error(given):
    assert check_prompts(*given, 60, 90).count == 0


@pytest.mark.parametrize(
    ("boxes", "points", "labels", "message"),
    [
        (None, None, None, "there is no prompt"),
        (None, [[[1, 1]]], None, "go together"),
        (None, None, [[1]], "there is no prompt"),
        ([[1, 2, 3]], None, None, r"boxes are \[N,4\]"),
        ([1, 2, 3, 4], None, None, r"boxes are \[N,4\]"),
        ([["a", 2, 3, 4]], None, None, "boxes are numbers"),
        ([[1, 2, 3, 4], [1]], None, None, "boxes are numbers"),
        ([[1, 2, 3, NAN]], None, None, "boxes have values that are not finite"),
        ([[0, 0, 5, 5], [9, 2, 3, 4]], None, None, "of object 1 ends before it begins"),
        ([[90, 2, 99, 9]], None, None, "of object 0 is outside the image, which is 90x60"),
        ([[-9, 2, -1, 9]], None, None, "outside the image"),
        (None, [[1, 2]], [[1]], r"points are \[N,P,2\]"),
        (None, [[[1, 2]]], [[1, 1]], r"points are \[N,P,2\]"),
        (None, [[[1, 2]]], [[2]], "labels are 1 in the object"),
        (None, [[[1, 2]], [[3, 60]]], [[1], [1]], "of object 1 is outside the image"),
        (None, [[[1, 2]]], [[-1]], "object 0 has no point"),
        ([[1, 2, 3, 4]], [[[1, 2]], [[1, 2]]], [[1], [1]], "1 boxes and points of 2 objects"),
    ],
)
def test_prompts_that_cannot_be_used(boxes, points, labels, message):
    with pytest.raises(InputError, match=message):
        check_prompts(boxes, points, labels, 60, 90)


def test_what_is_partly_outside_is_taken():
    check_prompts([[-50, -50, 500, 500]], [[[-0.4, 59.4], [999, 999]]], [[1, -1]], 60, 90)


def test_parts_that_a_click_rules_out_are_dropped():
    mask = np.zeros((2, 20, 40), np.bool_)
    mask[:, 2:10, 2:10] = mask[:, 2:10, 20:30] = True
    mask[1, 5, 10:20] = True
    points = np.array([[4.0, 4], [25, 5], [35, 15], [99, 99]])
    apart, joined = obeying(mask, points, np.array([1, 0, 0, -1]))
    assert apart.sum() == apart[2:10, 2:10].sum() == 64
    np.testing.assert_array_equal(joined, mask[1])
    np.testing.assert_array_equal(obeying(mask, points, np.array([1, 1, -1, -1])), mask)


def test_a_part_around_a_click_outside_is_dropped_unless_it_has_one_inside():
    """A network cuts a hole where a click rules out the whole part; a ring is an object, too."""
    mask = np.zeros((1, 20, 40), np.bool_)
    mask[:, 2:11, 2:11] = mask[:, 2:11, 20:29] = True
    mask[:, 5:8, 5:8] = mask[:, 5:8, 23:26] = False
    points = np.array([[3.0, 3], [6, 6], [24, 6]])
    (ring,) = obeying(mask, points, np.array([1, 0, 0]))
    np.testing.assert_array_equal(ring[:, :15], mask[0, :, :15])
    assert not ring[:, 15:].any()
    (other,) = obeying(mask, np.array([[24.0, 6]]), np.array([0]))
    np.testing.assert_array_equal(other, ring)
    (none,) = obeying(np.zeros_like(mask), points, np.array([1, 0, 0]))
    assert not none.any()
