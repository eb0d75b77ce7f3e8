"""Windows of an image: where they lie, what they show, and the way back."""

import numpy as np
import pytest

from hqtrack.windows import GREY, SMALLEST, Window, around, cut, paste, to_window, whole

SHAPE = (200, 300)


@pytest.mark.parametrize(
    ("box", "margin", "window"),
    [
        ((100, 50, 199, 99), 1.5, Window(75, 0, 150)),
        ((100, 80, 199, 119), 1.0, Window(100, 50, 100)),
        ((0, 0, 59, 9), 2.0, Window(0, 0, 120)),
        ((290, 190, 299, 199), 2.0, Window(300 - SMALLEST, 200 - SMALLEST, SMALLEST)),
        ((20, 0, 179, 199), 1.25, Window(0, -25, 250)),
        ((0, 0, 299, 199), 1.5, Window(0, -50, 300)),
        ((-900, -900, 900, 900), 1.5, Window(0, -50, 300)),
    ],
    ids=["middle", "tight", "corner", "speck", "taller than the image", "all", "beyond"],
)
def test_windows_keep_to_the_image(box, margin, window):
    assert around(np.array(box, np.float64), SHAPE, margin) == window


def test_the_whole_image_is_in_the_middle_of_its_window():
    assert whole((8, 4000)) == Window(0, -1996, 4000)
    assert whole((30, 10)) == Window(-10, 0, 30)


def test_a_view_shows_the_image_and_grey_around_it():
    image = np.full((20, 40, 3), 200, np.uint8)
    view = cut(image, whole((20, 40)), 80)
    assert view.shape == (80, 80, 3)
    assert (view[21:59] == 200).all()
    assert (view[:19] == GREY).all()
    assert (view[61:] == GREY).all()


def test_points_are_moved_with_their_pixels():
    """A single bright pixel is found where its place was moved to."""
    image = np.zeros((60, 90), np.uint8)
    image[31, 52] = 255
    window = Window(40, 20, 24)
    view = cut(image, window, 240)
    rows, columns = np.nonzero(view == view.max())
    x, y = to_window(np.array([52.0, 31.0]), window, 240)
    assert (columns.mean(), rows.mean()) == pytest.approx((x, y), abs=0.01)
    corners = to_window(np.array([[39.5, 19.5, 63.5, 43.5]]), window, 240)
    np.testing.assert_allclose(corners, [[-0.5, -0.5, 239.5, 239.5]])


@pytest.mark.parametrize("window", [Window(40, 20, 32), Window(-16, -8, 96), whole((60, 90))])
def test_masks_come_back_to_their_place(window):
    mask = np.zeros((60, 90), np.bool_)
    mask[22:50, 42:70] = True
    view = cut(mask.view(np.uint8), window, window.side, 0)
    (found,) = paste(view[None] > 0, window, 60, 90)
    left, top, side = window
    seen = np.zeros_like(mask)
    seen[max(top, 0) : top + side, max(left, 0) : left + side] = True
    assert (found == (mask & seen)).all()


def test_nothing_is_found_outside_the_window():
    (found,) = paste(np.ones((1, 16, 16), np.bool_), Window(10, 20, 16), 60, 90)
    assert found.sum() == 256
    assert found[20:36, 10:26].all()
