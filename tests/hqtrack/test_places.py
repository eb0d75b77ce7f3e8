"""Where objects can be, as tables."""

import numpy as np
import pytest

from hqtrack.places import (
    Places,
    around,
    longer_sides,
    nowhere,
    outside,
    reachable,
    seen_at,
    without_far_parts,
)
from tests.helpers.drawn import drawn


def test_an_object_is_where_it_was_last_trusted():
    masks = np.stack([drawn((3, 4, 6, 9)), drawn((20, 0, 20, 0))])
    places = seen_at(nowhere(0), 0, masks, np.array([True, True]))
    np.testing.assert_array_equal(places.boxes, [[3, 4, 6, 9], [20, 0, 20, 0]])
    moved = np.stack([drawn((4, 4, 7, 9)), drawn((30, 0, 30, 0))])
    places = seen_at(places, 5, moved, np.array([True, False]))
    np.testing.assert_array_equal(places.boxes, [[4, 4, 7, 9], [20, 0, 20, 0]])
    assert places.frames.tolist() == [5, 0]


def test_new_objects_join_and_hidden_ones_have_no_place():
    first = seen_at(nowhere(0), 0, drawn((3, 4, 6, 9))[None], np.array([True]))
    masks = np.stack([drawn(), drawn((0, 0, 1, 1))])
    places = seen_at(first, 3, masks, np.array([True, True]))
    assert np.isnan(places.boxes[0]).all()
    assert places.boxes[1].tolist() == [0, 0, 1, 1]
    assert first.boxes.tolist() == [[3, 4, 6, 9]]


def test_reach_grows_with_every_frame():
    places = Places(np.array([[10.0, 10, 19, 14], [np.nan] * 4]), np.array([2, 2]))
    for frame, away in ((2, 0), (3, 5), (5, 15)):
        windows = reachable(places, frame, 0.5)
        assert windows[0].tolist() == [10 - away, 10 - away, 19 + away, 14 + away]
        assert np.isnan(windows[1]).all()


WINDOW = (8, 4, 16, 10)
NOWHERE = (np.nan,) * 4


@pytest.mark.parametrize(
    ("parts", "window", "least", "kept"),
    [
        pytest.param([(9, 5, 12, 8)], WINDOW, 16, [0], id="inside"),
        pytest.param([(9, 5, 12, 8), (30, 5, 33, 8)], WINDOW, 16, [0], id="a look-alike far away"),
        pytest.param([(9, 5, 12, 8), (30, 5, 33, 8)], WINDOW, 17, [0, 1], id="too little is near"),
        pytest.param([(9, 5, 30, 8)], WINDOW, 16, [0], id="one part that reaches out"),
        pytest.param([(9, 5, 12, 8), (14, 9, 25, 15)], WINDOW, 16, [0, 1], id="both touch it"),
        pytest.param([(25, 5, 30, 8), (30, 12, 33, 14)], WINDOW, 1, [0, 1], id="none touches it"),
        pytest.param([(9, 5, 12, 8), (30, 5, 33, 8)], NOWHERE, 1, [0, 1], id="no window"),
        pytest.param([(9, 5, 12, 8), (30, 5, 33, 8)], WINDOW, np.nan, [0, 1], id="no past"),
        pytest.param([(0, 0, 2, 2), (30, 5, 33, 8)], (-9, -9, 1, 1), 1, [0], id="at the edge"),
        pytest.param([(3, 3, 5, 5), (30, 5, 33, 8)], (-9, -9, -2, -2), 1, [0, 1], id="beyond it"),
        pytest.param([], WINDOW, 1, [], id="empty"),
    ],
)
def test_parts_out_of_reach(parts, window, least, kept):
    masks = drawn(*parts)[None]
    found = without_far_parts(masks, np.array([window], np.float64), np.array([least]))
    np.testing.assert_array_equal(found[0], drawn(*(parts[index] for index in kept)))


def test_every_object_has_its_own_window_and_nothing_is_changed_in_place():
    masks = np.stack([drawn((0, 0, 3, 3), (30, 0, 33, 3)), drawn((0, 10, 3, 13), (30, 10, 33, 13))])
    before = masks.copy()
    found = without_far_parts(masks, np.array([[0.0, 0, 5, 5], [28, 8, 36, 15]]), np.ones(2))
    np.testing.assert_array_equal(found[0], drawn((0, 0, 3, 3)))
    np.testing.assert_array_equal(found[1], drawn((30, 10, 33, 13)))
    np.testing.assert_array_equal(masks, before)


def test_boxes_grow_to_all_sides():
    boxes = np.array([[3.0, 4, 6, 9], [0, 0, 0, 0], [np.nan] * 4])
    assert longer_sides(boxes)[:2].tolist() == [6, 1]
    grown = around(boxes, np.array([2.5, 1, 1]))
    assert grown[:2].tolist() == [[0.5, 1.5, 8.5, 11.5], [-1, -1, 1, 1]]
    assert np.isnan(grown[2]).all()


def test_outside_of_boxes_that_may_reach_out_of_the_frame():
    boxes = np.array([[-5.0, -5, 2, 1], [38, 18, 99, 99], NOWHERE, [-9, -9, -2, -2]])
    inside = drawn((0, 0, 2, 1), (38, 18, 39, 19))
    np.testing.assert_array_equal(outside(boxes, (20, 40)), ~inside)
    assert outside(np.empty((0, 4)), (2, 3)).all()
