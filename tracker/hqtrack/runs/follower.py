"""Tracks one video: objects start on their frames, and each frame gets its result."""

import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from hqtrack.errors import InputError
from hqtrack.joining import Corrections, JoinedVideo
from hqtrack.runs.first_masks import Prompted, first_masks
from hqtrack.runs.prompt_checks import check_prompts, separate
from hqtrack.runs.targets import Target
from hqtrack.tracker import HQTracker, Step, Tracker, last_step
from hqtrack.types import Masks, Scores
from hqtrack.video.streams import Frame


class Followed(NamedTuple):
    """A frame and the objects that have started, in the order in which they started.

    masks [N,H,W], an empty one for an object that the tracker does not see; confidence [N] in
    [0, 1], 1 on a frame on which an object starts or is corrected. step: the tracker's step for the
    objects that started earlier, if the tracker reports it.
    """

    frame: Frame
    targets: tuple[Target, ...]
    masks: Masks
    confidence: Scores
    step: Step | None = None


class Saved(NamedTuple):
    """A follower after a frame, with the number of that frame."""

    frame: int
    objects: tuple[int, ...]
    video: JoinedVideo
    tracker: object


class Follower:
    """Gives a tracker one frame after the other, objects on their first frame, and corrections."""

    def __init__(self, tracker: Tracker, targets: Iterable[Target], prompted: Prompted) -> None:
        self._tracker = tracker
        self._targets = list(targets)
        self._prompted = prompted
        self._known: tuple[Target, ...] = ()
        self._video = JoinedVideo()
        self._last = 0

    @property
    def pending(self) -> list[Target]:
        """The objects that have not started yet, and the corrections that have not come yet."""
        return [
            each
            for target in self._targets
            for each in target.given
            if not self._last or (each.frame or 0) > self._last
        ]

    def follow(self, frame: Frame) -> Followed:
        """The next frame with its objects.

        On the first frame, it checks the prompts of all objects, also of those that start later.
        Where masks overlap, corrected objects win, and new ones win over them. Raises InputError
        for a frame or a prompt that cannot be used.
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

    def save(self) -> Saved | None:
        """The present state, for ``resume``; None if the tracker has none or cannot save it."""
        if not self._known or not isinstance(self._tracker, HQTracker):
            return None
        numbers = tuple(target.number for target in self._known)
        return Saved(self._last, numbers, self._video.copy(), self._tracker.save())

    def resume(self, saved: Saved) -> None:
        """Go on after the frame of a state of ``save``, of a follower with the same tracker.

        Up to that frame, its objects have to be given as those of this follower are.
        """
        if not isinstance(self._tracker, HQTracker):
            raise TypeError(f"{type(self._tracker).__name__} has no states")
        targets = {target.number: target for target in self._targets}
        self._known = tuple(targets[number] for number in saved.objects)
        self._video = saved.video.copy()
        self._tracker.restore(saved.tracker)
        self._last = saved.frame

    def _advance(self, tracker: Tracker, frame: Frame) -> Followed:
        if not self._last:
            height, width = frame.image.shape[:2]
            places = [each for target in self._targets for each in target.given]
            _say(check_prompts(places, width, height))
        new = tuple(
            target
            for target in self._targets
            if target not in self._known and target.frame in (None, frame.number)
        )
        given = self._given(frame, new)
        masks, confidence = self._video.track(tracker, frame.image, given, self._corrections(frame))
        self._known += new
        self._last = frame.number
        return Followed(frame, self._known, masks, confidence, last_step(tracker))

    def _given(self, frame: Frame, targets: Sequence[Target]) -> Masks:
        """The masks [N,H,W] that are given for these on a frame."""
        if not targets:
            return np.zeros((0, *frame.image.shape[:2]), np.bool_)
        masks, told = separate(targets, first_masks(frame.image, targets, self._prompted))
        _say(told)
        return masks

    def _corrections(self, frame: Frame) -> Corrections | None:
        """What is given on a frame for objects that have started."""
        found = [
            (place, each)
            for place, target in enumerate(self._known)
            for each in target.given[1:]
            if each.frame == frame.number
        ]
        if not found:
            return None
        places, targets = zip(*found, strict=True)
        return Corrections(places, self._given(frame, targets))


def check_starts(
    targets: Sequence[Target], start: int, every: int, total: int | None, live: bool
) -> None:
    """Raise InputError, which names the object, if one is given on a frame that is not read."""
    for target in targets:
        if target.frame is None and any(each.frame == start for each in target.corrections):
            raise InputError(
                f"object {target.name} starts on frame {start}, and is corrected there: give its "
                "right place at once"
            )
        for place, each in enumerate(target.given):
            if each.frame is not None:
                what = f"object {target.name} {'is corrected' if place else 'starts'}"
                _check_frame(what, each.frame, start, every, total, live)


def _check_frame(
    what: str, frame: int, start: int, every: int, total: int | None, live: bool
) -> None:
    """Raise InputError unless this frame is read; ``what`` begins the message."""
    if live:
        raise InputError(
            f"{what} on frame {frame}, which a live video does not have yet: mark objects on its "
            "first frame"
        )
    if total is not None and frame > total:
        raise InputError(f"{what} on frame {frame}, and the video has {total}")
    if frame < start or (frame - start) % every:
        raise InputError(
            f"{what} on frame {frame}, which --start {start} --every {every} skips: mark it on one "
            f"of {start}, {start + every}, {start + 2 * every}, ..."
        )


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"hqtrack: {line}", file=sys.stderr)
