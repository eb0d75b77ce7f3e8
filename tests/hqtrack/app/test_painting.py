"""Strokes of brush and eraser."""

import numpy as np

from hqtrack.app.painting import paint
from hqtrack.app.project import Stroke

NOTHING = np.zeros((9, 12), bool)


def test_a_point_is_a_disc_and_a_line_is_as_wide():
    dot = paint(NOTHING, [Stroke(((4, 4),), 1, False)])
    assert np.argwhere(dot).tolist() == [[3, 4], [4, 3], [4, 4], [4, 5], [5, 4]]
    line = paint(NOTHING, [Stroke(((2, 4), (9, 4)), 1, False)])
    assert line[3:6, 4].all()
    assert line[4, 2:10].all()
    assert not line[:2].any()


def test_strokes_are_painted_in_their_order_and_the_mask_stays():
    mask = np.asfortranarray(~NOTHING)
    erased = paint(mask, [Stroke(((4, 4),), 2, True), Stroke(((4, 4),), 0, False)])
    assert erased[4, 4]
    assert not erased[4, 5]
    assert mask.all()


def test_outside_is_cut_off():
    assert paint(NOTHING, [Stroke(((-5, 4), (50, 4)), 0, False)])[4].all()
