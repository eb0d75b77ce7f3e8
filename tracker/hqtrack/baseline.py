"""The baseline tracker."""

from collections.abc import Sequence

import numpy as np

from hqtrack.errors import InputError
from hqtrack.masks import (
    check_corrections,
    check_first_masks,
    check_image,
    check_next_image,
    check_same_image,
)
from hqtrack.tracker import Tracked
from hqtrack.types import Image, Masks


class FirstMask:
    """Repeats the given masks on every frame, with confidence 1.

    A ``hqtrack.tracker.Tracker``. Raises InputError as all trackers do: for images and masks that
    cannot be used, and for ``track`` before ``initialize``.
    """

    def __init__(self) -> None:
        self._masks: Masks | None = None
        self._image: Image | None = None

    def initialize(self, image: Image, masks: Masks) -> None:
        """Start a new video with the masks [N,H,W] of its first frame."""
        check_image(image)
        check_first_masks(masks, image)
        self._masks, self._image = masks.copy(), image.copy()

    def add_objects(self, image: Image, masks: Masks) -> None:
        """Repeat these masks, too; where they overlap earlier objects, they win.

        Raises InputError if the image is not the one seen last.
        """
        before = self._given(image)
        check_first_masks(masks, image)
        check_same_image(image, self._image)
        self._masks = np.concatenate([before & ~masks.any(axis=0), masks])

    def correct(self, image: Image, masks: Masks, objects: Sequence[int]) -> None:
        """Repeat these masks instead for these objects; they win where they overlap others.

        Raises InputError if the image is not the one seen last.
        """
        before = self._given(image)
        check_corrections(masks, objects, image, len(before))
        check_same_image(image, self._image)
        self._masks = before & ~masks.any(axis=0)
        self._masks[list(objects)] = masks

    def track(self, image: Image) -> Tracked:
        """The given masks."""
        masks = self._given(image)
        self._image = image.copy()
        return Tracked(masks.copy(), np.ones(len(masks), np.float32))

    def _given(self, image: Image) -> Masks:
        if self._masks is None:
            raise InputError("no video was started: call initialize with the first frame")
        check_next_image(image, self._masks.shape[1:])
        return self._masks
