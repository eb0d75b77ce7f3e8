"""What a tracker is: it is shown the first frame with its masks, then one frame after the other."""

from typing import NamedTuple, Protocol

from hqtrack.types import Image, Masks, Scores


class Tracked(NamedTuple):
    """The objects on one frame.

    ``masks`` is [N,H,W], empty where an object is not seen; ``confidence`` is [N] in [0, 1].
    """

    masks: Masks
    confidence: Scores


class Tracker(Protocol):
    """Follows several objects through one video at a time."""

    def initialize(self, image: Image, masks: Masks) -> None:
        """Start a new video with the masks [N,H,W] of its first frame; forget the one before."""

    def add_objects(self, image: Image, masks: Masks) -> None:
        """Take in further objects, with their masks on the frame that was tracked last."""

    def track(self, image: Image) -> Tracked:
        """Find all objects on the next frame, in the order in which they were given."""
