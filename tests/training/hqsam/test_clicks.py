"""Simulated clicks and coarse masks."""

import numpy as np
import pytest

from training.hqsam.clicks import correction, damage, first_clicks, middle

DISC = np.hypot(*np.mgrid[-30:50, -40:40]) < 20


def test_the_middle_is_farthest_from_everything_else():
    assert middle(DISC) == (40, 30)
    ring = DISC & ~(np.hypot(*np.mgrid[-30:50, -40:40]) < 12)
    x, y = middle(ring)
    assert ring[y, x]


@pytest.mark.parametrize("count", [1, 4])
def test_the_first_click_is_in_the_object(count):
    for seed in range(20):
        points, labels = first_clicks(np.random.default_rng(seed), DISC, count)
        assert labels[0] == 1
        for (x, y), label in zip(points.astype(int), labels, strict=True):
            assert DISC[y, x] == label
    assert (first_clicks(np.random.default_rng(0), np.zeros_like(DISC), 2)[1] == -1).all()


def test_a_correction_is_in_the_middle_of_the_largest_error():
    found = DISC.copy()
    found[25:35, 35:45] = False
    found[70:74, 70:74] = True
    (x, y), label = correction(None, found, DISC)
    assert label == 1
    assert 25 <= y < 35
    assert 35 <= x < 45
    found[50:80, 0:30] = True
    (x, y), label = correction(None, found, DISC)
    assert label == 0
    assert (x < 30, y >= 50) == (True, True)
    assert correction(None, DISC, DISC)[1] == -1


def test_a_random_correction_is_an_error_too():
    found = np.roll(DISC, 9, axis=1)
    for seed in range(20):
        (x, y), label = correction(np.random.default_rng(seed), found, DISC)
        assert found[y, x] != DISC[y, x] == label


def test_damaged_masks_are_like_the_object_but_not_equal():
    target = np.where(DISC, np.uint8(255), np.uint8(0)).repeat(4, 0).repeat(4, 1)
    ious = []
    for seed in range(40):
        logits = damage(np.random.default_rng(seed), target, 80)
        assert logits.shape == (80, 80)
        assert logits.dtype == np.float32
        found = logits > 0
        ious.append((found & DISC).sum() / (found | DISC).sum())
    assert 0.6 < np.mean(ious) < 0.98
    assert len(set(ious)) > 20
