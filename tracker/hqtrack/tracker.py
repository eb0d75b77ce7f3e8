"""The interface of trackers, and HQTrack itself: segment, refine, select."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hqtrack.rules import PUBLISHED, Rules
from hqtrack.selection import Selection, best_candidates, select_masks
from hqtrack.stages import Stage, stage
from hqtrack.types import Image, Masks, Scores

if TYPE_CHECKING:  # they import torch, which the baseline does not need
    from hqtrack.memory import MemoryFrames
    from hqtrack.refiner import MaskRefiner
    from hqtrack.segmenter import Segmented, VideoObjectSegmenter


class Tracked(NamedTuple):
    """The objects on one frame.

    ``masks`` is [N,H,W]; the mask of an object that the tracker does not see is empty.
    ``confidence`` is [N] in [0, 1].
    """

    masks: Masks
    confidence: Scores


class Step(NamedTuple):
    """The intermediate results of HQTrack on a frame.

    ``coarse`` [N,H,W] are the masks of VMOS, ``refined`` [N,H,W] those of HQ-SAM, and ``selection``
    is the choice between them; the last two are None without a refiner. ``memory`` lists for each
    group of objects the frames that were read; 0 is the first frame of the video.
    """

    coarse: Masks
    refined: Masks | None
    selection: Selection | None
    memory: tuple[MemoryFrames, ...]


class Tracker(Protocol):
    """Tracks several objects through one video at a time."""

    def initialize(self, image: Image, masks: Masks) -> None:
        """Start a new video with the masks [N,H,W] of its first frame; forget the previous one."""

    def add_objects(self, image: Image, masks: Masks) -> None:
        """Add objects, with their masks on the frame tracked last."""

    def correct(self, image: Image, masks: Masks, objects: Sequence[int]) -> None:
        """Replace the masks of some objects, counted from 0, on the frame tracked last."""

    def track(self, image: Image) -> Tracked:
        """The masks of all objects on the next frame, in the order in which they were given."""


class HQTracker:
    """VMOS, then HQ-SAM prompted with the box of each mask, then a selection (HQTrack, pipeline).

    A ``Tracker``. Images are [H,W,3] uint8 RGB and have the same size in a video; masks are [N,H,W]
    bool. As published, the coarse masks enter memory, not the refined ones.
    """

    def __init__(
        self,
        segmenter: VideoObjectSegmenter,
        refiner: MaskRefiner | None = None,
        min_iou: float | None = None,
        ahead: bool = False,
        rules: Rules = PUBLISHED,
        lane: Callable[[], AbstractContextManager[object]] = nullcontext,
        on_device: bool = False,
    ) -> None:
        """Without a ``refiner`` the tracker reports the coarse masks.

        ``rules`` select masks; those for memory belong to the ``segmenter``. If
        ``min_iou`` is given, it replaces the one in the rules. With ``ahead`` the refiner encodes
        the image concurrently with the segmenter, even if the segmenter will find no object; this
        is for a device with enough memory for both. While a clock times the stages, ``ahead`` has
        no effect. All work on a frame happens within a ``lane``, see ``hqtrack.compute.streams``.
        With ``on_device`` masks stay on the device until one is chosen, for those of which
        ``hqtrack.device_step.stays_on_device`` says so.
        """
        self.segmenter = segmenter
        self.refiner = refiner
        self.rules = rules if min_iou is None else rules.with_min_iou(min_iou)
        self.ahead = ahead
        self._lane = lane
        self._on_device = on_device
        self._step: Step | None = None

    @property
    def min_iou(self) -> float:
        """The IoU with the coarse mask from which on a refined mask is reported."""
        return self.rules.selection.min_iou

    @property
    def last(self) -> Step | None:
        """The intermediate results of the frame tracked last; None before the second frame.

        The tracker owns the arrays: do not write to them.
        """
        return self._step

    @stage(Stage.SELECT)
    def initialize(self, image: Image, masks: Masks) -> None:
        """Start a new video with the masks of its first frame; forget the previous one.

        Where masks overlap, the later object wins. Raises InputError if the image or the masks
        cannot be used, also for an empty mask.
        """
        self._step = None
        with self._lane():
            self.segmenter.add_reference(image, masks)

    @stage(Stage.SELECT)
    def add_objects(self, image: Image, masks: Masks) -> None:
        """Add objects, with their masks on the frame tracked last.

        Existing objects keep their masks; where masks overlap, the new objects win. Raises
        InputError as ``initialize`` does, and if the image is not the one tracked last.
        """
        with self._lane():
            self.segmenter.add_objects(image, masks)

    @stage(Stage.SELECT)
    def correct(self, image: Image, masks: Masks, objects: Sequence[int]) -> None:
        """Replace the masks of some objects on the frame tracked last; tracking goes on from there.

        ``masks`` [M,H,W] are the right masks of the M ``objects``, counted from 0 in the order in
        which they were given; an empty mask says that the object cannot be seen. Other objects keep
        their masks; where masks overlap, the corrected ones win. The frame becomes a reference
        frame, which memory never drops, so each frame that is corrected costs memory and time, see
        ``hqtrack.segmenter.VideoObjectSegmenter.correct``. Raises InputError if image, masks or
        objects cannot be used, and if the image is not the one tracked last.
        """
        with self._lane():
            self.segmenter.correct(image, masks, objects)

    @stage(Stage.SELECT)
    def track(self, image: Image) -> Tracked:
        """The masks of all objects on the next frame, in the order in which they were given.

        The confidence is that of the coarse masks, see ``hqtrack.decoding.confidences``. Raises
        InputError before ``initialize`` and for an image of another size than the first.
        """
        with self._lane():
            return self._track(image)

    def _track(self, image: Image) -> Tracked:
        self._step = None  # free it now, because masks of many objects are large
        if self.ahead and self.refiner is not None:
            self.refiner.begin(image)
        coarse, refined, selection = self._find(image)
        self.segmenter.memorize()
        self._step = Step(coarse.masks, refined, selection, self.segmenter.frames_read)
        masks = coarse.masks if selection is None else selection.masks
        return Tracked(masks, coarse.confidence)

    def _find(self, image: Image) -> tuple[Segmented, Masks | None, Selection | None]:
        """Coarse masks, refined ones, and the choice between them."""
        refiner, asked = self.refiner, self.rules.selection
        if refiner is None:
            return self.segmenter.propagate(image), None, None
        if self._on_device:
            from hqtrack.device_step import segment_and_refine

            return segment_and_refine(self.segmenter, refiner, image, asked)
        coarse = self.segmenter.propagate(image)
        masks, scores = refiner.refine(image, coarse.masks)
        selection = select_masks(
            coarse.masks,
            masks,
            scores,
            asked.min_iou,
            asked.nearest,
            coarse.confidence if asked.confident_first else None,
        )
        return coarse, best_candidates(masks, scores), selection

    def save(self) -> object:
        """The present state of the video, for ``restore``; see the segmenter's ``save``."""
        return self.segmenter.save()

    def restore(self, saved: object) -> None:
        """Go back to a state of ``save``, any number of times; the present one is forgotten."""
        self._step = None
        self.segmenter.restore(saved)


def last_step(tracker: Tracker) -> Step | None:
    """The intermediate results of the frame tracked last; None for another kind of tracker."""
    return tracker.last if isinstance(tracker, HQTracker) else None
