"""A tracker that needs no network: it moves every mask one pixel to the right per frame."""

import numpy as np

from hqtrack.masks import check_corrections, check_first_masks
from hqtrack.tracker import Tracked


class Moving:
    """Confidence is 0.5 for the first object, 0.25 for the others; stops with ``fails``, if any,
    on frame ``fails_on``, counted from 1.
    """

    def __init__(self, fails=None, fails_on=4):
        self.fails, self.fails_on, self.seen = fails, fails_on, []

    def initialize(self, image, masks):
        check_first_masks(masks, image)
        self.masks, self.seen = masks, [image]

    def add_objects(self, image, masks):
        check_first_masks(masks, image)
        assert image is self.seen[-1]
        self.masks = np.concatenate([self.masks & ~masks.any(axis=0), masks])

    def correct(self, image, masks, objects):
        check_corrections(masks, objects, image, len(self.masks))
        assert image is self.seen[-1]
        self.masks = self.masks & ~masks.any(axis=0)
        self.masks[list(objects)] = masks

    def track(self, image):
        self.seen.append(image)
        if len(self.seen) == self.fails_on and self.fails:
            raise self.fails
        self.masks = np.roll(self.masks, 1, axis=2)
        confidence = np.full(len(self.masks), 0.25, np.float32)
        confidence[0] = 0.5
        return Tracked(self.masks, confidence)
