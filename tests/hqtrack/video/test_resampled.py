"""Recognising label maps that were smoothed, and leaving others alone."""

import cv2
import numpy as np
import pytest

from hqtrack.video.resampled import is_black_and_white, levels_of, looks_resampled

DISC = (np.hypot(*np.mgrid[-100:100, -100:100]) < 60).astype(np.uint8)


def looks(values):
    return looks_resampled(values, levels_of(values))


def test_levels_are_thin_if_few_of_their_pixels_lie_inside():
    values = np.zeros((20, 20), np.uint8)
    values[2:8, 2:8], values[12, 3:15] = 5, 9
    levels = levels_of(values)
    assert levels.values.tolist() == [0, 5, 9]
    assert levels.areas.tolist() == [352, 36, 12]
    assert levels.thin.tolist() == [False, False, True]


@pytest.mark.parametrize("sigma", [0.6, 1, 3, 8, 20, 60])
def test_blurred_masks(sigma):
    smooth = cv2.GaussianBlur(DISC * 255, (0, 0), sigma)
    assert looks(smooth)


@pytest.mark.parametrize("method", [cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA])
@pytest.mark.parametrize("side", [77, 311])
def test_resized_masks(method, side):
    smooth = cv2.resize(DISC * 255, (side, side), interpolation=method)
    assert looks(smooth)
    assert is_black_and_white(levels_of(smooth))
    several = cv2.resize(DISC * 90 + np.roll(DISC, 50) * 60, (side, side), interpolation=method)
    assert looks(several)
    assert not is_black_and_white(levels_of(several))


def crowd():
    """Small round objects that touch, numbered row by row."""
    values = np.zeros((200, 200), np.uint16)
    for number in range(1, 101):
        row, column = divmod(number - 1, 10)
        cv2.circle(values, (10 + 20 * column, 10 + 20 * row), 10, number, -1)
    return values


def cells():
    """A map without background, numbered row by row."""
    return np.kron(np.arange(100).reshape(10, 10), np.ones((9, 9), int)).astype(np.uint8)


def specks():
    values = np.zeros((100, 100), np.uint8)
    values[::7, ::9] = np.arange(1, 181).reshape(15, 12)
    return values


def nested():
    return DISC + cv2.erode(DISC, np.ones((3, 3))) + 5 * cv2.erode(DISC, np.ones((40, 40)))


@pytest.mark.parametrize("values", [DISC, DISC * 255, crowd(), cells(), specks(), nested()])
def test_drawn_maps(values):
    assert not looks(values)
