"""A segmenter with a small random network, and something to segment."""

import numpy as np

from hqtrack.segmenter import SegmenterConfig, VideoObjectSegmenter

HEIGHT, WIDTH = 41, 57
CONFIG = SegmenterConfig(
    min_short_edge=0, max_long_edge=64, long_term_gap=3, long_term_size=3, short_term_lag=2
)


def video(frames, seed=0, height=HEIGHT, width=WIDTH):
    rng = np.random.default_rng(seed)
    return list(rng.integers(0, 256, (frames, height, width, 3), np.uint8))


def rectangles(count, seed=0):
    """Masks that do not overlap: one cell each of a grid of 4 by 5."""
    cells = np.random.default_rng(seed).permutation(20)[:count]
    masks = np.zeros((count, HEIGHT, WIDTH), bool)
    for mask, cell in zip(masks, cells, strict=True):
        top, left = 10 * (cell // 5), 11 * (cell % 5)
        mask[top : top + 9, left : left + 10] = True
    return masks


def start(model, image, masks, config=CONFIG):
    segmenter = VideoObjectSegmenter(model, config)
    segmenter.add_reference(image, masks)
    return segmenter


def same(a, b):
    np.testing.assert_array_equal(a.masks, b.masks)
    np.testing.assert_array_equal(a.confidence, b.confidence)
