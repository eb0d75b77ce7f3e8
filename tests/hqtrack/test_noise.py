"""How much noise there is in an image, and that smoothing removes it."""

import math

import numpy as np
import pytest

from hqtrack.noise import denoised, noise_of

SIZE = (60, 80)


def scene():
    """Two flat halves, bright and dark, with a fine grid of lines in one corner."""
    image = np.full((*SIZE, 3), 90, np.uint8)
    image[:, 40:] = (200, 180, 60)
    image[:15:2, :20] = 30
    return image


def with_noise(deviation):
    noise = np.random.default_rng(0).normal(0, deviation, (*SIZE, 3))
    return np.clip(np.round(scene() + noise), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("deviation", [5, 10, 20])
def test_noise_is_measured_in_grey_levels(deviation):
    assert noise_of(with_noise(deviation)) == pytest.approx(deviation, rel=0.1)


def test_edges_and_fine_lines_are_no_noise():
    assert noise_of(scene()) == 0


@pytest.mark.parametrize("size", [(1, 1), (2, 50), (3, 3)])
def test_small_images_have_no_noise(size):
    assert noise_of(np.full((*size, 3), 7, np.uint8)) == 0


def test_smoothing_removes_noise_and_keeps_edges():
    smooth = denoised(with_noise(20), 12.0).astype(float)
    before, after = (np.abs(image - scene()) for image in (with_noise(20).astype(float), smooth))
    flat = np.s_[20:, 5:35]
    assert after[flat].mean() < 0.4 * before[flat].mean()
    assert abs(smooth[20:, 38] - smooth[20:, 41]).mean(axis=0).max() > 70


@pytest.mark.parametrize("max_noise", [25.0, math.inf])
def test_little_noise_stays(max_noise):
    image = with_noise(20)
    assert denoised(image, max_noise) is image
