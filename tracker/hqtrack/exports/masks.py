"""The masks of a stored frame as arrays."""

import numpy as np
from numpy.typing import NDArray

from hqtrack.runs.journal import FrameRecord
from hqtrack.types import LabelMap
from hqtrack.video.run_lengths import decode_mask


def label_map(record: FrameRecord) -> LabelMap:
    """The numbers of the objects [H,W] on a frame, 0 for background; the later object wins."""
    labels = np.zeros(record.size, np.int32)
    for found in record.objects:
        if found.counts is not None:
            np.copyto(labels, found.number, where=decode_mask(found.counts, *record.size))
    return labels


def object_mask(record: FrameRecord, number: int) -> NDArray[np.bool_]:
    """The mask [H,W] of an object on a frame; empty if it is not seen."""
    for found in record.objects:
        if found.number == number and found.counts is not None:
            return decode_mask(found.counts, *record.size)
    return np.zeros(record.size, np.bool_)
