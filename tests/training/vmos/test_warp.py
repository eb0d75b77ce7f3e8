"""Random geometry of clips."""

import numpy as np
import pytest

from training.vmos import warp


@pytest.mark.parametrize("seed", range(20))
def test_what_is_hidden_comes_back(seed):
    """One stretch of frames in the middle, flat where the labels go, everything else as it was."""
    images = np.random.default_rng(0).integers(0, 256, (5, 24, 32, 3), np.uint8)
    labels = np.zeros((5, 24, 32), np.int32)
    labels[:, 4:9, 6:12], labels[:, 14:20, 20:30] = 1, 2
    seen, left = warp.hide(np.random.default_rng(seed), images, labels)
    changed = (seen != images).any(axis=3)
    stretch = np.flatnonzero(changed.any(axis=(1, 2)))
    assert len(stretch) == np.ptp(stretch) + 1
    assert 0 < stretch[0] <= stretch[-1] < 4
    assert len(np.unique(seen[changed], axis=0)) == 1
    assert not left[changed].any()
    assert np.array_equal(left[~changed], labels[~changed])
    for frame in stretch:
        assert not ((left[frame] == 1).any() and (left[frame] == 2).any())


def test_nothing_is_hidden_where_nothing_could_come_back():
    images, labels = np.ones((2, 8, 8, 3), np.uint8), np.ones((2, 8, 8), np.int32)
    assert warp.hide(np.random.default_rng(0), images, labels) == (images, labels)
    images, labels = np.ones((3, 8, 8, 3), np.uint8), np.zeros((3, 8, 8), np.int32)
    assert warp.hide(np.random.default_rng(0), images, labels) == (images, labels)
