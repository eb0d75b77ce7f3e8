"""Masks drawn on frames."""

import itertools

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.video.overlay import draw_masks, object_colours

IMAGE = np.full((40, 50, 3), 100, np.uint8)


def mask(top, bottom, left, right):
    mask = np.zeros((1, 40, 50), bool)
    mask[0, top:bottom, left:right] = True
    return mask


def test_inside_is_half_transparent_and_the_outline_is_not():
    drawn = draw_masks(IMAGE, mask(10, 20, 10, 20))
    colour = object_colours([1])[0]
    assert drawn[10, 15].tolist() == colour.tolist()
    assert drawn[15, 19].tolist() == colour.tolist()
    assert drawn[15, 15].tolist() == ((colour.astype(int) + 100 + 1) // 2).tolist()
    outside = ~mask(10, 20, 10, 20)[0]
    assert (drawn[outside] == 100).all()
    assert (IMAGE == 100).all()


def test_the_outline_is_thicker_on_large_frames():
    large = np.zeros((900, 900, 3), np.uint8)
    masks = np.zeros((1, 900, 900), bool)
    masks[0, 100:200, 100:200] = True
    drawn = draw_masks(large, masks)
    colour = object_colours([1])[0].tolist()
    assert [drawn[row, 150].tolist() == colour for row in (99, 100, 102, 103)] == [
        False,
        True,
        True,
        False,
    ]


def test_masks_at_the_border_and_empty_masks():
    masks = np.concatenate([mask(0, 40, 0, 50), mask(0, 0, 0, 0), mask(39, 40, 49, 50)])
    drawn = draw_masks(IMAGE, masks)
    assert drawn[39, 49].tolist() == object_colours([3])[0].tolist()
    assert not (drawn[:39] == 100).all(axis=2).any()


def test_ids_choose_the_colours():
    drawn = draw_masks(IMAGE, mask(10, 20, 10, 20), ids=[5])
    assert drawn[10, 15].tolist() == object_colours([5])[0].tolist()


def test_the_colours_of_21_objects_differ_then_repeat():
    colours = object_colours(range(1, 22)).astype(int)
    distances = [np.abs(a - b).sum() for a, b in itertools.combinations(colours, 2)]
    assert min(distances) > 30
    np.testing.assert_array_equal(object_colours([22]), object_colours([1]))


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="disagree"):
        draw_masks(IMAGE, np.zeros((1, 50, 40), bool))
    with pytest.raises(InputError, match="2 object numbers"):
        draw_masks(IMAGE, mask(0, 5, 0, 5), ids=[1, 2])
