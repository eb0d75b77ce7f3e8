"""Objects that join a video late, and those of whom there is nothing to see at first."""

import numpy as np
from numpy.typing import NDArray

from hqtrack.masks import check_next_image
from hqtrack.tracker import Tracked, Tracker
from hqtrack.types import Image, Masks


class JoinedVideo:
    """One video through a tracker: objects join on any frame, in the order in which they come.

    A tracker takes no empty first mask. Such an object stays in the video and is reported empty,
    with confidence 0.
    """

    def __init__(self) -> None:
        """A video that has not started: the first call of ``track`` shows its first frame."""
        self._size: tuple[int, ...] | None = None
        self._known = np.zeros(0, np.bool_)
        self._tracked = self._known

    @property
    def tracked(self) -> NDArray[np.bool_]:
        """[N]: which objects so far the tracker followed to the last image, not given there."""
        return self._tracked

    def track(self, tracker: Tracker, image: Image, new: Masks) -> Tracked:
        """Follow the objects to the next image, and take in new ones [M,H,W] on it.

        Returns all N objects so far and then the M new ones, with their masks as given and
        confidence 1. Where a new object lies over an old one, the new one wins. ``tracker`` has
        seen the video so far. Raises InputError for an image of another size than the first one.
        """
        if self._size is not None:
            check_next_image(image, self._size)
        self._size = image.shape[:2]
        self._tracked = self._known
        masks, confidence = self._follow(tracker, image)
        if len(new):
            seen = self._take_in(tracker, image, new)
            masks = np.concatenate([masks & ~new.any(axis=0), new])
            confidence = np.concatenate([confidence, seen.astype(np.float32)])
        return Tracked(masks, confidence)

    def _follow(self, tracker: Tracker, image: Image) -> Tracked:
        """All objects so far on the next image."""
        if self._known.size and self._known.all():
            return tracker.track(image)
        masks = np.zeros((len(self._known), *image.shape[:2]), np.bool_)
        confidence = np.zeros(len(self._known), np.float32)
        if self._known.any():
            masks[self._known], confidence[self._known] = tracker.track(image)
        return Tracked(masks, confidence)

    def _take_in(self, tracker: Tracker, image: Image, new: Masks) -> NDArray[np.bool_]:
        """Hand the tracker the objects that can be seen; [M], which they are."""
        seen = np.asarray(new.any(axis=(1, 2)))
        if seen.any():
            add = tracker.add_objects if self._known.any() else tracker.initialize
            add(image, new[seen])
        self._known = np.concatenate([self._known, seen])
        return seen
