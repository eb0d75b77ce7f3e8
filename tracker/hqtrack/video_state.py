"""The state of a video in VMOS: its last frame, the past of its objects, and their memory."""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hqtrack.compute.transfer import to_device, to_host
from hqtrack.masks import labels_to_masks
from hqtrack.memory import MemoryBank, MemoryFrames
from hqtrack.places import Places, nowhere, reachable, seen_at, without_far_parts
from hqtrack.references import Reference
from hqtrack.rules import MemoryRules, Past, add_frame, add_objects, least_area, no_past, trusted
from hqtrack.types import Image, Masks, Scores
from vmos.encoder import Features
from vmos.propagation import LayerState


@dataclass
class LastFrame:
    """The last frame of a video.

    Attributes:
        labels: [H,W] on the network's device; n + 1 marks object n.
        label_map: the copy of ``labels`` on the host; None while they are computed.
        states: of each group of objects, what its layers may write into memory.
        in_memory: whether the frame was written into memory.
        confidence: [N] of the objects when the frame was tracked; NaN if it was not.
        trusted: [N], see `hqtrack.rules.MemoryRules`.
        dropped: [N,H,W], the parts of objects that were dropped; None if every mask was near.
        finer: [N,h,w], the probabilities of the objects, until masks follow the edges of the frame.
        read: of each group, the frames of memory that were read.
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
    dropped: Masks | None = None
    finer: Tensor | None = None
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
class VideoState:
    """A video up to its last frame.

    Attributes:
        size: (h, w) at which its frames enter the network.
        objects: their number.
        banks: the memory of each group of objects.
        references: by group and number, the reference frames of which memory may forget something.
    """

    size: tuple[int, int]
    frame: LastFrame
    objects: int
    past: Past
    places: Places
    banks: list[MemoryBank] = field(default_factory=list)
    references: dict[tuple[int, int], Reference] = field(default_factory=dict)

    @classmethod
    def start(cls, size: tuple[int, int], frame: LastFrame) -> "VideoState":
        """A video with a first frame and no objects yet."""
        return cls(size, frame, 0, no_past(0), nowhere(0))

    def copy(self) -> "VideoState":
        """The same state, which goes on on its own; arrays and tensors are shared."""
        banks = [bank.copy() for bank in self.banks]
        references = dict(self.references)
        return replace(self, frame=replace(self.frame), banks=banks, references=references)

    @property
    def referred(self) -> set[int]:
        """The groups for which the last frame is a reference frame already."""
        number = self.frame.number
        return {group for group, bank in enumerate(self.banks) if number in bank.references}

    def admit(self, added: int, rules: MemoryRules) -> None:
        """Count objects that were given on the last frame; its labels have them already."""
        self.objects += added
        self.past = add_objects(self.past, areas(self.frame.known, self.objects)[-added:])
        confidence, trusted = untracked(added)
        self.frame.confidence = np.append(self.frame.confidence, confidence)
        self.frame.trusted = np.append(self.frame.trusted, trusted)
        self.locate(rules)

    def drop_far_parts(self, masks: Masks, rules: MemoryRules) -> Masks:
        """Masks [N,H,W] of the last frame, without parts that objects cannot have reached."""
        if not rules.drops_far_parts:
            return masks
        windows = reachable(self.places, self.frame.number, rules.max_speed)
        near = without_far_parts(masks, windows, least_area(self.past, rules))
        if near is not masks:
            self.frame.dropped = masks & ~near
        return near

    def judge(self, rules: MemoryRules) -> None:
        """Decide which objects are trusted on the last frame, and add it to their past."""
        frame, area = self.frame, areas(self.frame.known, self.objects)
        frame.trusted = trusted(self.past, frame.confidence, area, rules)
        self.past = add_frame(self.past, frame.confidence, area)
        self.locate(rules)

    def locate(self, rules: MemoryRules) -> None:
        """Note where the trusted objects are on the last frame, if the rules need it."""
        if rules.needs_places:
            masks = labels_to_masks(self.frame.known, self.objects)
            self.places = seen_at(self.places, self.frame.number, masks, self.frame.trusted)


def areas(labels: NDArray[np.integer], objects: int) -> Scores:
    """Pixels of each object [N]."""
    if labels.dtype == np.uint8:  # several times as fast
        counts = cv2.calcHist([labels], [0], None, [256], [0, 256]).ravel()
    else:
        counts = np.bincount(labels.ravel(), minlength=objects + 1)
    return counts[1 : objects + 1].astype(np.float32)


def untracked(objects: int) -> tuple[Scores, NDArray[np.bool_]]:
    """Confidence and trust [N] of objects that were not tracked on a frame yet."""
    return np.full(objects, np.nan, np.float32), np.ones(objects, np.bool_)
