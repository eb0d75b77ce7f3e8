"""J and F on masks made by hand."""

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.measures import boundary_measure, region_similarity


def square(left, top, side=20, shape=(60, 80)):
    mask = np.zeros((1, *shape), bool)
    mask[0, top : top + side, left : left + side] = True
    return mask


EMPTY = np.zeros((1, 60, 80), bool)
FULL = np.ones((1, 60, 80), bool)


@pytest.mark.parametrize(
    ("a", "b", "value"),
    [
        (square(10, 10), square(10, 10), 1),
        (square(10, 10), square(20, 10), 200 / 600),
        (square(10, 10), square(50, 30), 0),
        (square(10, 10), EMPTY, 0),
        (EMPTY, square(10, 10), 0),
        (EMPTY, EMPTY, 1),
    ],
)
def test_region_similarity(a, b, value):
    assert region_similarity(a, b) == pytest.approx([value])


def test_region_similarity_pairs_objects():
    a = np.concatenate([square(10, 10), EMPTY, square(0, 0)])
    b = np.concatenate([square(10, 10), EMPTY, square(40, 40)])
    assert region_similarity(a, b).tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("a", "b", "value"),
    [
        pytest.param(square(10, 10), square(10, 10), 1, id="same"),
        pytest.param(square(10, 10), square(11, 10), 1, id="within the tolerance of 1 pixel"),
        pytest.param(square(10, 10), square(50, 35), 0, id="apart"),
        pytest.param(square(10, 10), EMPTY, 0, id="lost"),
        pytest.param(EMPTY, square(10, 10), 0, id="invented"),
        pytest.param(EMPTY, EMPTY, 1, id="both empty"),
        pytest.param(FULL, FULL, 1, id="the sides of the frame are no boundary"),
    ],
)
def test_boundary_measure(a, b, value):
    assert boundary_measure(a, b) == pytest.approx([value])


def test_boundary_measure_of_a_line_moved_half_out_of_reach():
    a, b = np.zeros((2, 1, 100, 100), bool)
    a[0, :, :50] = True
    b[0, :50, :50] = True
    b[0, 50:, :60] = True
    # radius 2: of the 100 boundary pixels of a the upper 50 and 2 below them are near b; b has
    # 50 + 10 + 50, of which the upper 50 and the first 2 along the step are near a
    precision, recall = 52 / 100, 52 / 110
    value = boundary_measure(a, b)
    assert value == pytest.approx([2 * precision * recall / (precision + recall)])


def test_tolerance_is_a_disk_of_whole_pixels_rounded_up():
    a, b = np.zeros((2, 1, 60, 80), bool)
    a[0, 30, 30] = True
    # a single pixel has a boundary of four: itself, left, above, and left above
    b[0, 33, 34] = True
    assert boundary_measure(a, b, tolerance=0.05) == pytest.approx([1])  # distance 5, radius 5
    assert boundary_measure(a, b, tolerance=0.04) < 1  # radius 4


def test_tolerance_grows_with_the_frame():
    a, b = square(100, 100, shape=(480, 854)), square(108, 100, shape=(480, 854))
    assert boundary_measure(a, b) == pytest.approx([1])
    assert boundary_measure(a, square(109, 100, shape=(480, 854))) < 1


@pytest.mark.parametrize("measure", [region_similarity, boundary_measure])
def test_stacks_of_different_shape_are_refused(measure):
    with pytest.raises(InputError, match="cannot be compared"):
        measure(EMPTY, np.zeros((2, 60, 80), bool))
    with pytest.raises(InputError, match="cannot be compared"):
        measure(EMPTY[0], EMPTY[0])


@pytest.mark.parametrize("measure", [region_similarity, boundary_measure])
def test_no_objects_have_no_scores(measure):
    none = np.zeros((0, 60, 80), bool)
    assert measure(none, none).shape == (0,)
