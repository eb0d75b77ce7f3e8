"""Reference frames, and what memory forgets of their background."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hqtrack.compute.transfer import to_device
from hqtrack.masks import mask_boxes
from hqtrack.places import around, longer_sides, outside
from hqtrack.preprocess import prepare_labels
from hqtrack.types import Masks
from vmos.encoder import Features


@dataclass(frozen=True)
class Reference:
    """A reference frame of a group of objects, as memory knows it.

    Attributes:
        features: the frame.
        labels: [1,h,w] of the group at the network's input size.
        background: [H,W], the background that memory knows and may forget.
    """

    features: Features
    labels: Tensor
    background: NDArray[np.bool_]

    @classmethod
    def of(cls, features: Features, labels: Tensor, masks: Masks, margin: float) -> "Reference":
        """A reference frame with these masks [N,H,W] of its group.

        Memory never forgets the background around an object, up to `margin` times the longer side
        of its box, because that is what the object is told from.
        """
        boxes = mask_boxes(masks)
        windows = around(boxes, margin * longer_sides(boxes))
        return cls(features, labels, outside(windows, masks.shape[1:]) & ~masks.any(axis=0))

    def without(self, rivals: Masks, away: NDArray[np.float64], unknown: int) -> "Reference":
        """The frame without background around rivals; itself if memory knows none where they are.

        Args:
            rivals: [N,H,W], for each object what only looks like it.
            away: [N], up to how many pixels around its rivals the background is forgotten.
            unknown: the label of what is forgotten.
        """
        known = (self.background & rivals).any(axis=(1, 2))
        if not known.any():
            return self
        near = [_grow(rivals[index], away[index]) for index in np.flatnonzero(known)]
        forgotten = self.background & np.logical_or.reduce(near)
        places = prepare_labels(
            to_device(forgotten, self.labels.device), (self.labels.shape[-2], self.labels.shape[-1])
        )
        labels = self.labels.where(places == 0, unknown)
        return replace(self, labels=labels, background=self.background & ~forgotten)


def _grow(mask: NDArray[np.bool_], away: float) -> NDArray[np.bool_]:
    """A mask [H,W] and all that is up to `away` pixels from it, across or down."""
    side = 2 * round(away) + 1
    return cv2.dilate(mask.view(np.uint8), np.ones((side, side), np.uint8)).astype(np.bool_)
