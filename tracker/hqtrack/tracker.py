"""What a tracker is, and HQTrack itself: segment, refine, select."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from hqtrack.selection import Selection, best_candidates, select_masks
from hqtrack.stages import Stage, stage
from hqtrack.types import Image, Masks, Scores

if TYPE_CHECKING:  # both import torch, which a tracker that repeats its first masks can do without
    from hqtrack.memory import MemoryFrames
    from hqtrack.refiner import MaskRefiner
    from hqtrack.segmenter import VideoObjectSegmenter


class Tracked(NamedTuple):
    """The objects on one frame.

    ``masks`` is [N,H,W], empty where an object is not seen; ``confidence`` is [N] in [0, 1].
    """

    masks: Masks
    confidence: Scores


class Step(NamedTuple):
    """How the masks of a frame came about in HQTrack.

    ``coarse`` [N,H,W] is what VMOS found, ``refined`` [N,H,W] what HQ-SAM made of it and
    ``selection`` the choice between them, both None without a refiner; ``memory`` are the frames
    read, per group of objects, 0 being the one that the video was started with.
    """

    coarse: Masks
    refined: Masks | None
    selection: Selection | None
    memory: tuple[MemoryFrames, ...]


class Tracker(Protocol):
    """Follows several objects through one video at a time."""

    def initialize(self, image: Image, masks: Masks) -> None:
        """Start a new video with the masks [N,H,W] of its first frame; forget the one before."""

    def add_objects(self, image: Image, masks: Masks) -> None:
        """Take in further objects, with their masks on the frame that was tracked last."""

    def track(self, image: Image) -> Tracked:
        """Find all objects on the next frame, in the order in which they were given."""


class HQTracker:
    """VMOS, then HQ-SAM prompted with each mask's box, then a choice (HQTrack, pipeline).

    A ``Tracker``. Images are [H,W,3] uint8 RGB, all of a video of one size; masks [N,H,W] bool.
    As published, memory is written with the coarse masks, not with the refined ones.
    """

    def __init__(
        self,
        segmenter: VideoObjectSegmenter,
        refiner: MaskRefiner | None = None,
        min_iou: float = 0.1,
        ahead: bool = False,
    ) -> None:
        """Without a ``refiner`` the coarse masks are reported.

        A refined mask is reported only where its IoU with the coarse one is ``min_iou`` or more.
        ``ahead``: the refiner encodes the image while the segmenter is at work, also where it will
        find nothing; for a device that has room for both. Not while a clock times the stages.
        """
        self.segmenter = segmenter
        self.refiner = refiner
        self.min_iou = min_iou
        self.ahead = ahead
        self._step: Step | None = None

    @property
    def last(self) -> Step | None:
        """How the masks of the frame tracked last came about; None before the second frame.

        The arrays are the tracker's own: do not write to them.
        """
        return self._step

    @stage(Stage.SELECT)
    def initialize(self, image: Image, masks: Masks) -> None:
        """Start a new video with the masks of its first frame; forget the one before.

        Where masks overlap the later object wins. Raises InputError for images or masks that
        cannot be used, an empty mask among them.
        """
        self._step = None
        self.segmenter.add_reference(image, masks)

    @stage(Stage.SELECT)
    def add_objects(self, image: Image, masks: Masks) -> None:
        """Take in further objects, with their masks on the frame that was tracked last.

        Objects already there keep their masks, the new ones win where they overlap. Raises
        InputError as ``initialize`` does, or if the image is not the one tracked last.
        """
        self.segmenter.add_objects(image, masks)

    @stage(Stage.SELECT)
    def track(self, image: Image) -> Tracked:
        """Find all objects on the next frame, in the order in which they were given.

        The confidence is that of the coarse masks, see ``hqtrack.decoding.confidences``. Raises
        InputError before ``initialize`` and for an image of another size than the first.
        """
        self._step = None  # not beside the next one: masks of many objects are large
        if self.ahead and self.refiner is not None:
            self.refiner.begin(image)
        coarse = self.segmenter.propagate(image)
        refined = selection = None
        if self.refiner is not None:
            candidates = self.refiner.refine(image, coarse.masks)
            selection = select_masks(
                coarse.masks, candidates.masks, candidates.scores, self.min_iou
            )
            refined = best_candidates(candidates.masks, candidates.scores)
        self.segmenter.memorize()
        self._step = Step(coarse.masks, refined, selection, self.segmenter.frames_read)
        return Tracked(coarse.masks if selection is None else selection.masks, coarse.confidence)


def last_step(tracker: Tracker) -> Step | None:
    """How the masks tracked last came about, where the tracker tells."""
    return tracker.last if isinstance(tracker, HQTracker) else None
