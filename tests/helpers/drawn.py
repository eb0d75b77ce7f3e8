"""Masks of filled boxes."""

import numpy as np

SIZE = (20, 40)


def drawn(*boxes, size=SIZE):
    """A mask of filled boxes, each left, top, right, bottom, inclusive."""
    mask = np.zeros(size, np.bool_)
    for left, top, right, bottom in boxes:
        mask[top : bottom + 1, left : right + 1] = True
    return mask
