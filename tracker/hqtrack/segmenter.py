"""VMOS over time: groups of objects, each with its memory, on one video at a time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from hqtrack import decoding
from hqtrack.compute.acceleration import precision
from hqtrack.compute.transfer import to_device, to_host
from hqtrack.device_masks import label_type
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
from hqtrack.places import Places, nowhere, reachable, seen_at, without_far_parts
from hqtrack.preprocess import long_edge_for, network_size, prepare_image, prepare_labels
from hqtrack.rules import MemoryRules, Past, add_frame, add_objects, least_area, no_past, trusted
from hqtrack.stages import Stage, stage
from hqtrack.types import Image, Masks, Scores
from vmos import VMOS
from vmos.encoder import Features
from vmos.propagation import LayerState

MARGIN = 4
"""Pixels of the network's input around an unknown object that are unknown, too, as in training."""


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


@dataclass
class _Frame:
    """The last frame.

    ``labels`` [H,W] are on the network's device, ``label_map`` is their copy on the host; None
    while they are computed. ``confidence`` and ``trusted`` [N] are of the objects when it was
    tracked.
    """

    image: Image
    number: int
    features: Features
    labels: Tensor
    label_map: NDArray[np.integer] | None
    states: list[list[LayerState]]
    in_memory: bool
    confidence: Scores
    trusted: NDArray[np.bool_]
    read: tuple[MemoryFrames, ...] = ()

    @property
    def known(self) -> NDArray[np.integer]:
        """The label map on the host."""
        if self.label_map is None:
            (self.label_map,) = to_host(self.labels)
        return self.label_map

    def paint(self, labels: NDArray[np.integer]) -> None:
        """Replace the labels."""
        self.label_map, self.labels = labels, to_device(labels, self.labels.device)


@dataclass
class _Video:
    """The state of a video: its last frame, its past, and a memory bank per group of objects.

    ``size`` (h, w) is the size at which its frames enter the network.
    """

    size: tuple[int, int]
    frame: _Frame
    objects: int
    past: Past
    places: Places
    banks: list[MemoryBank] = field(default_factory=list)

    def copy(self) -> "_Video":
        """The same state, which goes on on its own; arrays and tensors are shared."""
        banks = [bank.copy() for bank in self.banks]
        return replace(self, frame=replace(self.frame), banks=banks)


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
    ) -> None:
        """``dtype``: of convolutions and matrix products, see `hqtrack.compute.acceleration`."""
        self.model = model
        self.rules = rules or MemoryRules()
        self.config = config or SegmenterConfig()
        self.dtype = dtype
        self._video: _Video | None = None

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
        size = self._network_size(image, _areas(labels, len(masks)))
        features = self._encode(image, size)
        placed = to_device(labels, self.device)
        frame = _Frame(image.copy(), 0, features, placed, labels, [], False, *_nothing(0))
        video = _Video(size, frame, 0, no_past(0), nowhere(0))
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
        frame.trusted[list(objects)] = True
        self._locate(video)
        groups = {index // self._capacity for index in objects}
        referred = self._referred(video)
        self._write(video, [group in groups | referred for group in range(len(video.banks))])

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
        features = self._encode(image, video.size)
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
        video.frame = _Frame(
            image.copy(),
            video.frame.number + 1,
            features,
            labels,
            None,
            states,
            False,
            *_nothing(video.objects),
            tuple(bank.frames_read for bank in video.banks),
        )
        return Found(labels, confidence)

    @stage(Stage.DECODE)
    def settle(
        self, labels: NDArray[np.integer], confidence: Scores, masks: Masks | None = None
    ) -> Segmented:
        """The second half of `propagate`: takes what `launch` found, and its masks, as arrays."""
        video = self._known_video()
        frame = video.frame
        frame.label_map = labels
        masks = labels_to_masks(labels, video.objects) if masks is None else masks
        if self.drops_far_parts:
            windows = reachable(video.places, frame.number, self.rules.max_speed)
            near = without_far_parts(masks, windows, least_area(video.past, self.rules))
            if near is not masks:
                masks = near
                frame.paint(masks_to_labels(near))
        frame.confidence, frame.trusted = confidence, confidence > 0
        return Segmented(masks, confidence)

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
        area = _areas(frame.known, video.objects)
        frame.trusted = trusted(video.past, frame.confidence, area, self.rules)
        video.past = add_frame(video.past, frame.confidence, area)
        self._locate(video)
        self._write(video, [False] * len(video.banks))

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
        if not isinstance(saved, _Video):
            raise TypeError(f"{type(saved).__name__} is no state of a video")
        self._video = saved.copy()

    @property
    def frames_read(self) -> tuple[MemoryFrames, ...]:
        """For each group of objects the frames that the last `propagate` read; 0 is the first.

        Empty before the first `propagate` of the video.
        """
        return self._known_video().frame.read

    @property
    def drops_far_parts(self) -> bool:
        """Whether the rules drop parts of masks, see ``MemoryRules.max_speed``."""
        return math.isfinite(self.rules.max_speed)

    @property
    def _capacity(self) -> int:
        return self.model.config.objects

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return next(self.model.parameters()).device

    def _known_video(self) -> _Video:
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
    def _encode(self, image: Image, size: tuple[int, int]) -> Features:
        prepared = prepare_image(image, size, self.device)
        with stage(Stage.ENCODE), precision(self.device, self.dtype):
            return self.model.encode(prepared)

    def _group_labels(self, frame: _Frame, labels: Tensor, group: int) -> Tensor:
        """Of labels [1,h,w] those of one group; other groups are background.

        If the rules say so, objects that are not trusted are unknown.
        """
        first = group * self._capacity
        inside = (labels > first) & (labels <= first + self._capacity)
        labels = torch.where(inside, labels - first, 0)
        if self.rules.unknown:
            trusted = torch.from_numpy(self._trusted(frame, group)).to(self.device)
            labels = forget(labels, trusted, self._capacity + 1)
        return labels

    def _trusted(self, frame: _Frame, group: int) -> NDArray[np.bool_]:
        """Which objects of the group are trusted on the frame, [M] at most."""
        first = group * self._capacity
        return frame.trusted[first : first + self._capacity]

    def _take_in(self, video: _Video, added: int) -> None:
        """Count the objects added on the current frame and write it to every group's memory."""
        refer = groups_that_refer(video.objects, added, self._capacity, self._referred(video))
        video.objects += added
        video.past = add_objects(video.past, _areas(video.frame.known, video.objects)[-added:])
        video.frame.trusted = np.append(video.frame.trusted, np.ones(added, np.bool_))
        self._locate(video)
        self._write(video, refer)

    def _locate(self, video: _Video) -> None:
        """Note where the trusted objects are on the current frame."""
        if self.drops_far_parts:
            frame = video.frame
            masks = labels_to_masks(frame.known, video.objects)
            video.places = seen_at(video.places, frame.number, masks, frame.trusted)

    def _referred(self, video: _Video) -> set[int]:
        """The groups for which the current frame is a reference frame already."""
        number = video.frame.number
        return {group for group, bank in enumerate(video.banks) if number in bank.references}

    def _write(self, video: _Video, refer: list[bool]) -> None:
        """Write the current frame to every group's memory, as a reference frame if told so."""
        labels = prepare_labels(video.frame.labels, video.size)
        for group, becomes_reference in enumerate(refer):
            write = self._refer if becomes_reference else self._remember
            write(video, group, self._group_labels(video.frame, labels, group))
        video.frame.in_memory = True

    def _refer(self, video: _Video, group: int, labels: Tensor) -> None:
        """Make the current frame a reference frame of the group, which may be new."""
        if group == len(video.banks):
            config = self.config
            video.banks.append(
                MemoryBank(
                    config.long_term_gap,
                    config.long_term_size,
                    config.short_term_lag,
                    self.rules.wait,
                    self.rules.hold,
                    config.sharpness,
                )
            )
        with stage(Stage.PROPAGATE), precision(self.device, self.dtype):
            memory = self.model.reference(video.frame.features, labels)
        video.banks[group].add_reference(video.frame.number, memory)

    def _remember(self, video: _Video, group: int, labels: Tensor) -> None:
        """Write the current frame, as propagated, into the group's memory."""
        with stage(Stage.PROPAGATE), precision(self.device, self.dtype):
            memory = self.model.memorize(video.frame.states[group], labels)
        sure = self._trusted(video.frame, group).any()
        video.banks[group].add(video.frame.number, memory, bool(sure))


def forget(labels: Tensor, trusted: Tensor, number: int) -> Tensor:
    """Labels [1,h,w] in which objects that are not trusted [N] become `number`, with a margin.

    The margin takes from the background only.
    """
    if trusted.all():
        return labels
    known = torch.cat([trusted.new_ones(1), trusted])
    doubted = ~known[labels.long().clamp(max=len(trusted))] & (labels <= len(trusted))
    near = F.max_pool2d(doubted.float(), 2 * MARGIN + 1, 1, MARGIN) > 0
    return torch.where(doubted | (near & (labels == 0)), number, labels)


def _areas(labels: NDArray[np.integer], objects: int) -> Scores:
    """Pixels of each object [N]."""
    return np.bincount(labels.ravel(), minlength=objects + 1)[1:].astype(np.float32)


def _nothing(objects: int) -> tuple[Scores, NDArray[np.bool_]]:
    """Confidence and trust of objects that were not tracked yet."""
    return np.full(objects, np.nan, np.float32), np.ones(objects, np.bool_)
