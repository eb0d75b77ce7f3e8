"""Objects that join a video late, those of whom there is nothing to see at first, corrections."""

import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hqtrack.masks import check_next_image
from hqtrack.tracker import Tracked, Tracker
from hqtrack.types import Image, Masks


class Corrections(NamedTuple):
    """The right masks [M,H,W] of M objects on a frame; an empty one if it cannot be seen.

    ``objects`` are their places in the video, counted from 0.
    """

    objects: tuple[int, ...]
    masks: Masks


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
        self._given: list[int] = []  # the objects in the order in which the tracker got them

    def copy(self) -> "JoinedVideo":
        """The same video so far, which goes on on its own."""
        twin = copy.copy(self)
        twin._known = self._known.copy()
        twin._given = list(self._given)
        return twin

    @property
    def tracked(self) -> NDArray[np.bool_]:
        """[N]: which objects so far the tracker followed to the last image, not given there."""
        return self._tracked

    def track(
        self, tracker: Tracker, image: Image, new: Masks, corrections: Corrections | None = None
    ) -> Tracked:
        """Follow the objects to the next image, correct some, and take in new ones [M,H,W] on it.

        Returns all N objects so far and then the M new ones; given masks are as given, with
        confidence 1. Where masks overlap, corrected ones win over tracked ones, and new ones over
        both. ``tracker`` has seen the video so far. Raises InputError for an image of another size
        than the first one.
        """
        if self._size is not None:
            check_next_image(image, self._size)
        self._size = image.shape[:2]
        self._tracked = self._known
        masks, confidence = self._follow(tracker, image)
        if corrections is not None:
            objects, right = list(corrections.objects), corrections.masks
            self._correct(tracker, image, corrections)
            masks &= ~right.any(axis=0)
            masks[objects], confidence[objects] = right, right.any(axis=(1, 2))
        if len(new):
            seen = self._take_in(tracker, image, new)
            masks = np.concatenate([masks & ~new.any(axis=0), new])
            confidence = np.concatenate([confidence, seen.astype(np.float32)])
        return Tracked(masks, confidence)

    def _follow(self, tracker: Tracker, image: Image) -> Tracked:
        """All objects so far on the next image."""
        if self._given and self._given == list(range(len(self._known))):
            return tracker.track(image)
        masks = np.zeros((len(self._known), *image.shape[:2]), np.bool_)
        confidence = np.zeros(len(self._known), np.float32)
        if self._given:
            masks[self._given], confidence[self._given] = tracker.track(image)
        return Tracked(masks, confidence)

    def _take_in(self, tracker: Tracker, image: Image, new: Masks) -> NDArray[np.bool_]:
        """Hand the tracker the objects that can be seen; [M], which they are."""
        seen = np.asarray(new.any(axis=(1, 2)))
        first = len(self._known)
        self._known = np.concatenate([self._known, np.zeros(len(new), np.bool_)])
        self._give(tracker, image, new[seen], (first + np.flatnonzero(seen)).tolist())
        return seen

    def _correct(self, tracker: Tracker, image: Image, corrections: Corrections) -> None:
        """Correct objects; those that the tracker does not know yet join, if they can be seen."""
        known = self._known[list(corrections.objects)]
        joining = ~known & corrections.masks.any(axis=(1, 2))
        objects = np.array(corrections.objects)
        if known.any():
            channels = [self._given.index(index) for index in objects[known]]
            tracker.correct(image, corrections.masks[known], channels)
        self._give(tracker, image, corrections.masks[joining], objects[joining].tolist())

    def _give(self, tracker: Tracker, image: Image, masks: Masks, objects: list[int]) -> None:
        """Hand these objects to the tracker, if there are any."""
        if objects:
            add = tracker.add_objects if self._given else tracker.initialize
            add(image, masks)
            self._given += objects
            self._known[objects] = True
