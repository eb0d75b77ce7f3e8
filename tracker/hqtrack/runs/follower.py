"""Tracks one video: objects start on their frames, and each frame gets its result."""

import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from hqtrack.errors import InputError
from hqtrack.joining import JoinedVideo
from hqtrack.runs.first_masks import Prompted, first_masks
from hqtrack.runs.prompt_checks import check_prompts, separate
from hqtrack.runs.targets import Target
from hqtrack.tracker import HQTracker, Step, Tracker, last_step
from hqtrack.types import Image, Masks, Scores
from hqtrack.video.streams import Frame


class Followed(NamedTuple):
    """A frame and the objects that have started, in the order in which they started.

    masks [N,H,W], an empty one for an object that the tracker does not see; confidence [N] in
    [0, 1], 1 on the frame on which an object starts. step: the tracker's step for the objects that
    started earlier, if the tracker reports it.
    """

    frame: Frame
    targets: tuple[Target, ...]
    masks: Masks
    confidence: Scores
    step: Step | None = None


class Follower:
    """Gives a tracker one frame after the other, and each object on its first frame."""

    def __init__(self, tracker: Tracker, targets: Iterable[Target], prompted: Prompted) -> None:
        self._tracker = tracker
        self._targets = list(targets)
        self._prompted = prompted
        self._known: tuple[Target, ...] = ()
        self._video = JoinedVideo()
        self._unchecked = True

    @property
    def pending(self) -> list[Target]:
        """The objects that have not started yet."""
        return [target for target in self._targets if target not in self._known]

    def follow(self, frame: Frame) -> Followed:
        """The next frame with its objects.

        On the first frame, it checks the prompts of all objects, also of those that start later.
        Where masks overlap, new objects win. Raises InputError for a frame or a prompt that cannot
        be used.
        """
        return self._advance(self._tracker, frame)

    def repeat(self, frame: Frame) -> Followed:
        """Like ``follow``, but faster: the masks are the coarse ones.

        The tracker's memory is the same, because it contains the coarse masks (HQTrack, pipeline).
        """
        coarse = self._tracker
        if isinstance(coarse, HQTracker):
            coarse = HQTracker(coarse.segmenter)
        return self._advance(coarse, frame)

    def _advance(self, tracker: Tracker, frame: Frame) -> Followed:
        if self._unchecked:
            height, width = frame.image.shape[:2]
            _say(check_prompts(self._targets, width, height))
            self._unchecked = False
        new = tuple(target for target in self.pending if target.frame in (None, frame.number))
        given = _none(frame.image)
        if new:
            given, told = separate(new, first_masks(frame.image, new, self._prompted))
            _say(told)
        masks, confidence = self._video.track(tracker, frame.image, given)
        self._known += new
        return Followed(frame, self._known, masks, confidence, last_step(tracker))


def check_starts(
    targets: Sequence[Target], start: int, every: int, total: int | None, live: bool
) -> None:
    """Raise InputError, which names the object, if one starts on a frame that is not read."""
    for target in targets:
        if target.frame is None:
            continue
        if live:
            raise InputError(
                f"object {target.name}: a live video has no frame {target.frame} to mark yet; "
                "objects start on its first frame"
            )
        if total is not None and target.frame > total:
            raise InputError(
                f"object {target.name} starts on frame {target.frame}, and the video has {total}"
            )
        if target.frame < start or (target.frame - start) % every:
            raise InputError(
                f"object {target.name} starts on frame {target.frame}, which --start {start} "
                f"--every {every} skips: mark it on one of {start}, {start + every}, "
                f"{start + 2 * every}, ..."
            )


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"hqtrack: {line}", file=sys.stderr)


def _none(image: Image) -> Masks:
    """The masks [0,H,W] of no objects."""
    return np.zeros((0, *image.shape[:2]), np.bool_)
