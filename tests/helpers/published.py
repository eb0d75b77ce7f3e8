"""What the published program does and HQTrack does not: only for reproducing its numbers."""

import numpy as np
from numpy.typing import NDArray

from hqtrack.types import Masks


def published_overlap_labels(coarse: Masks, chosen: Masks) -> NDArray[np.uint8]:
    """Overlaps as the published program resolves them.

    Where several chosen masks overlap, that program does not write the label of the first of them,
    but its position in a list of labels. The list contains the labels of the coarse label map in
    ascending order, with the background if it occurs. So the result is wrong if a lower label is
    missing or the objects fill the frame. ``coarse`` are masks that do not overlap, ``chosen``
    those of ``choose_masks``, both [N,H,W]. Returns [H,W] with n + 1 for object n, modulo 256.
    """
    has_background = not coarse.any(axis=0).all()
    present = np.flatnonzero(coarse.any(axis=(1, 2)))
    labels = np.zeros(coarse.shape[1:], np.uint8)
    covered = np.zeros(coarse.shape[1:], np.int32)
    first = np.zeros(coarse.shape[1:], np.uint8)
    for position, index in enumerate(present, start=int(has_background)):
        mask = chosen[index]
        first[mask & (covered == 0)] = position % 256
        labels[mask] = (index + 1) % 256
        covered += mask
    return np.where(covered > 1, first, labels)
