"""VMOS over time: groups of objects, each with its memory, on one video at a time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hqtrack import decoding, device_edges
from hqtrack.compute.acceleration import precision
from hqtrack.compute.transfer import to_device, to_host
from hqtrack.device_masks import label_type
from hqtrack.edges import follow_image
from hqtrack.errors import InputError
from hqtrack.masks import (
    check_corrections,
    check_first_masks,
    check_image,
    check_masks,
    check_next_image,
    check_same_image,
    labels_to_masks,
    masks_to_labels,
    repaint,
)
from hqtrack.memory import MemoryBank, MemoryFrames, groups_that_refer
from hqtrack.memory_writer import MemoryWriter
from hqtrack.preprocess import long_edge_for, network_size, prepare_frame
from hqtrack.rules import MemoryRules, SightRules, present
from hqtrack.stages import Stage, stage
from hqtrack.types import Image, Masks, Scores
from hqtrack.video_state import LastFrame, VideoState, areas, untracked
from vmos import VMOS
from vmos.encoder import Features


@dataclass(frozen=True)
class SegmenterConfig:
    """Resolution and memory (HQTrack, released configuration).

    Attributes:
        min_short_edge: smaller frames are enlarged to this short edge, in pixels.
        max_long_edge: larger frames are reduced to this long edge, in pixels.
        long_term_gap: frames from one entry of long-term memory to the next.
        long_term_size: largest number of frames in long-term memory, with the reference frame.
        short_term_lag: short-term memory is this many frames back.
        small_object: side in pixels of the network's input. If the median first object covers less
            than a square of this side, the long edge is raised until it does.
        fine_long_edge: the long edge is raised up to this many pixels; 0 never raises it.
        sharpness: factor of the scores of long-term attention. The more pixels there are to attend
            to, the flatter attention is; above 1 it is as sharp as on the small clips of training.
        object_bias: what is added to the logits of all objects; above 0 masks are larger.
    """

    min_short_edge: int = 480
    max_long_edge: int = 1040
    long_term_gap: int = 50
    long_term_size: int = 6
    short_term_lag: int = 4
    small_object: int = 0
    fine_long_edge: int = 0
    sharpness: float = 1.0
    object_bias: float = 0.0

    def __post_init__(self) -> None:
        """Raise InputError if a number is out of range."""
        if self.min_short_edge < 0 or self.max_long_edge < 1:
            raise InputError("min_short_edge must be at least 0 and max_long_edge at least 1")
        if min(self.long_term_gap, self.short_term_lag) < 1 or self.long_term_size < 2:
            raise InputError(
                "long_term_gap and short_term_lag must be at least 1, long_term_size at least 2"
            )
        if not 0 < self.sharpness < math.inf or not math.isfinite(self.object_bias):
            raise InputError("sharpness must be above 0, and object_bias a number")


class Found(NamedTuple):
    """What `VideoObjectSegmenter.launch` finds, on the network's device, perhaps not computed yet.

    labels: [H,W] uint8, int16 or int32, n + 1 marks object n. confidence: [N] float32.
    """

    labels: Tensor
    confidence: Tensor


class Segmented(NamedTuple):
    """Masks [N,H,W], which never overlap, and confidence [N] in [0, 1].

    See `hqtrack.decoding.confidences` for what the confidence means.
    """

    masks: Masks
    confidence: Scores


class VideoObjectSegmenter:
    """Tracks any number of objects through one video at a time.

    Objects are numbered in the order in which they were given; object n is channel n % M + 1 of
    group n // M, where M is the number of objects that the model supports. All groups share one
    encoding of each frame.
    """

    def __init__(
        self,
        model: VMOS,
        config: SegmenterConfig | None = None,
        dtype: torch.dtype = torch.float32,
        rules: MemoryRules | None = None,
        sight: SightRules | None = None,
    ) -> None:
        """Nothing is tracked yet.

        Args:
            model: the network, on its device.
            config: resolution and memory.
            dtype: of convolutions and matrix products, see `hqtrack.compute.acceleration`.
            rules: for memory; by default those published.
            sight: rules for seeing a frame; by default those published.
        """
        self.model = model
        self.rules = rules or MemoryRules()
        self.sight = sight or SightRules()
        self.config = config or SegmenterConfig()
        self.dtype = dtype
        self._video: VideoState | None = None

    @stage(Stage.DECODE)
    @torch.inference_mode()
    def add_reference(self, image: Image, masks: Masks) -> None:
        """Start a new video and forget the previous one.

        Args:
            image: the first frame, which becomes a reference frame.
            masks: its objects; where they overlap, the later one wins.

        Raises:
            InputError: image or masks have the wrong shape or type, or a mask is empty.
        """
        check_image(image)
        check_first_masks(masks, image)
        labels = masks_to_labels(masks)
        size = self._network_size(image, areas(labels, len(masks)))
        features, _ = self._encode(image, size)
        placed = to_device(labels, self.device)
        frame = LastFrame(image.copy(), 0, features, placed, labels, [], False, *untracked(0))
        video = VideoState.start(size, frame)
        self._take_in(video, len(masks))
        self._video = video

    @stage(Stage.DECODE)
    @torch.inference_mode()
    def add_objects(self, image: Image, masks: Masks) -> None:
        """Add objects on the frame propagated last.

        Existing objects keep their propagated masks; where masks overlap, the new objects win. The
        frame becomes a further reference frame for the groups that the new objects join, and is
        memorized for all other groups.

        Args:
            image: the frame last given to `propagate`, `step` or `add_reference`.
            masks: the new objects.

        Raises:
            InputError: as for `add_reference`, or the image is a different one.
        """
        video = self._known_video()
        check_image(image)
        check_first_masks(masks, image)
        frame = video.frame
        check_same_image(image, frame.image)
        added = masks_to_labels(masks)
        frame.paint(np.where(added > 0, added + video.objects, frame.known))
        self._take_in(video, len(masks))

    @stage(Stage.DECODE)
    @torch.inference_mode()
    def correct(self, image: Image, masks: Masks, objects: Sequence[int]) -> None:
        """Replace the masks of some objects on the frame propagated last.

        Other objects keep their propagated masks; where masks overlap, the corrected ones win. The
        frame becomes a further reference frame for the groups of these objects, and is memorized
        for all other groups. A reference frame is never dropped: memory and the time of a frame
        grow with each frame that is corrected, not with the video. Another correction on the same
        frame costs nothing more.

        Args:
            image: the frame last given to `propagate`, `step` or `add_reference`.
            masks: [M,H,W], the right masks; an empty one says that the object cannot be seen.
            objects: the M objects, counted from 0.

        Raises:
            InputError: masks or objects have the wrong shape, type or number, there is no such
                object, or the image is a different one.
        """
        video = self._known_video()
        check_image(image)
        check_corrections(masks, objects, image, video.objects)
        frame = video.frame
        check_same_image(image, frame.image)
        frame.paint(repaint(frame.known, masks, objects))
        frame.trusted = frame.trusted | np.isin(np.arange(video.objects), objects)
        video.locate(self.rules)
        groups = video.referred | {index // self._capacity for index in objects}
        self._writer.write(video, [group in groups for group in range(len(video.banks))])

    @stage(Stage.DECODE)
    @torch.inference_mode()
    def propagate(self, image: Image) -> Segmented:
        """Segment the next frame from memory, without changing memory.

        Raises:
            InputError: there is no video yet, or the image differs in size.
        """
        found = self.launch(image)
        label_map, confidence = to_host(*found)
        return self.settle(label_map, confidence)

    @stage(Stage.DECODE)
    @torch.inference_mode()
    def launch(self, image: Image) -> Found:
        """The first half of `propagate`, which does not wait for a GPU; `settle` is the other.

        Raises:
            InputError: there is no video yet, or the image differs in size.
        """
        video = self._known_video()
        check_next_image(image, video.frame.image.shape[:2])
        features, smoothed = self._encode(image, video.size)
        logits, states = [], []
        for group, bank in enumerate(video.banks):
            with stage(Stage.PROPAGATE), precision(self.device, self.dtype):
                propagated = self.model.propagate(features, bank.long_term, bank.short_term.memory)
            used = min(video.objects - group * self._capacity, self._capacity)
            logits.append(
                decoding.favour_objects(
                    propagated.logits[:, : used + 1].float(), self.config.object_bias
                )
            )
            states.append(propagated.states)
        labels = decoding.decode_labels(logits, image.shape[:2])
        probabilities = decoding.object_probabilities(logits)
        confidence = decoding.confidences(probabilities, labels)
        labels = labels.to(label_type(video.objects))
        finer = None
        if self.sight.sharp and not smoothed:
            finer = decoding.finer_probabilities(logits)
        if finer is not None and device_edges.is_faster_on(self.device):
            labels = device_edges.follow_image(labels, finer, to_device(image, self.device))
            finer = None
        video.frame = LastFrame(
            image.copy(),
            video.frame.number + 1,
            features,
            labels,
            None,
            states,
            False,
            *untracked(video.objects),
            finer=finer,
            read=tuple(bank.frames_read for bank in video.banks),
        )
        return Found(labels, confidence)

    @stage(Stage.DECODE)
    def settle(
        self, labels: NDArray[np.integer], confidence: Scores, masks: Masks | None = None
    ) -> Segmented:
        """The second half of `propagate`: takes what `launch` found, and its masks, as arrays."""
        video = self._known_video()
        frame = video.frame
        if frame.finer is not None:
            (finer,) = to_host(frame.finer)
            labels = follow_image(labels, finer, frame.image)
            frame.finer = None
            frame.paint(labels)
        else:
            frame.label_map = labels
        masks = labels_to_masks(labels, video.objects) if masks is None else masks
        possible = video.drop_far_parts(present(masks, confidence, self.rules), self.rules)
        if possible is not masks:
            frame.paint(masks_to_labels(possible))
        frame.confidence, frame.trusted = confidence, confidence > 0
        return Segmented(possible, confidence)

    @stage(Stage.DECODE)
    @torch.inference_mode()
    def memorize(self, masks: Masks | None = None) -> None:
        """Write the frame propagated last into memory, with its propagated masks or these [N,H,W].

        A mask may be empty; where masks overlap, the later object wins.

        Raises:
            InputError: no frame was propagated since the last write, or the masks are not bool or
                do not match the frame's size and the number of objects.
        """
        video = self._known_video()
        frame = video.frame
        if frame.in_memory:
            raise InputError("the last frame is already in memory: propagate the next one first")
        if masks is not None:
            check_masks(masks, frame.image)
            if len(masks) != video.objects:
                raise InputError(
                    f"there are {len(masks)} masks and the video has {video.objects} objects: give "
                    "one mask per object, an empty one if it is not visible"
                )
            frame.paint(masks_to_labels(masks))
        video.judge(self.rules)
        self._writer.forget_rivals(video)
        self._writer.write(video, [False] * len(video.banks))

    def step(self, image: Image) -> Segmented:
        """Segment the next frame and memorize it with its masks; see `propagate`."""
        segmented = self.propagate(image)
        self.memorize()
        return segmented

    def save(self) -> object:
        """The present state of the video, for ``restore``; as large as its memory.

        Raises InputError if there is no video yet.
        """
        return self._known_video().copy()

    def restore(self, saved: object) -> None:
        """Go back to a state of ``save``, any number of times; the present one is forgotten."""
        if not isinstance(saved, VideoState):
            raise TypeError(f"{type(saved).__name__} is no state of a video")
        self._video = saved.copy()

    @property
    def labels(self) -> Tensor:
        """The label map of the last frame [H,W] on the network's device; n + 1 marks object n."""
        return self._known_video().frame.labels

    @property
    def changes_masks(self) -> bool:
        """Whether `settle` may change what `launch` found."""
        return self.rules.changes_masks or self._known_video().frame.finer is not None

    @property
    def frames_read(self) -> tuple[MemoryFrames, ...]:
        """For each group of objects the frames that the last `propagate` read; 0 is the first.

        Empty before the first `propagate` of the video.
        """
        return self._known_video().frame.read

    @property
    def _capacity(self) -> int:
        return self.model.config.objects

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return next(self.model.parameters()).device

    def _known_video(self) -> VideoState:
        if self._video is None:
            raise InputError("there is no video yet: give the first frame and its masks first")
        return self._video

    def _network_size(self, image: Image, areas: Scores) -> tuple[int, int]:
        """The size (h, w) at which a video enters the network that starts with these objects."""
        config, (height, width) = self.config, image.shape[:2]
        long_edge = long_edge_for(
            areas, (height, width), config.max_long_edge, config.fine_long_edge, config.small_object
        )
        stride = self.model.config.coarse_stride
        return network_size(height, width, config.min_short_edge, long_edge, stride)

    @stage(Stage.PREPROCESS)
    def _encode(self, image: Image, size: tuple[int, int]) -> tuple[Features, bool]:
        """The features of a frame, and whether it was smoothed."""
        prepared, smoothed = prepare_frame(image, size, self.device, self.sight.max_noise)
        with stage(Stage.ENCODE), precision(self.device, self.dtype):
            return self.model.encode(prepared), smoothed

    def _take_in(self, video: VideoState, added: int) -> None:
        """Count the objects added on the current frame and write it to every group's memory."""
        refer = groups_that_refer(video.objects, added, self._capacity, video.referred)
        video.admit(added, self.rules)
        while len(video.banks) < len(refer):
            video.banks.append(self._new_bank())
        self._writer.write(video, refer)

    def _new_bank(self) -> MemoryBank:
        """The empty memory of one more group."""
        config, rules = self.config, self.rules
        return MemoryBank(
            config.long_term_gap,
            config.long_term_size,
            config.short_term_lag,
            rules.wait,
            rules.hold,
            config.sharpness,
        )

    @property
    def _writer(self) -> MemoryWriter:
        return MemoryWriter(self.model, self.dtype, self.rules)
