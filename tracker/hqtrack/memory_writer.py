"""Writes the last frame of a video into the memory of its groups of objects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from hqtrack.compute.acceleration import precision
from hqtrack.compute.transfer import to_device
from hqtrack.masks import labels_to_masks
from hqtrack.places import longer_sides
from hqtrack.preprocess import prepare_labels
from hqtrack.references import Reference
from hqtrack.rules import MemoryRules, known
from hqtrack.stages import Stage, stage
from hqtrack.video_state import VideoState
from vmos import VMOS, FrameMemory
from vmos.encoder import Features

MARGIN = 4
"""Pixels of the network's input around an unknown object that are unknown, too, as in training."""


@dataclass(frozen=True)
class MemoryWriter:
    """What it takes to turn frames and their labels into memory; the video owns the memory.

    Attributes:
        model: the network.
        dtype: of convolutions and matrix products, see `hqtrack.compute.acceleration`.
        rules: what enters memory.
    """

    model: VMOS
    dtype: torch.dtype
    rules: MemoryRules

    def write(self, video: VideoState, refer: Sequence[bool]) -> None:
        """Write the last frame into every group's memory, as a reference frame if told so."""
        labels = prepare_labels(video.frame.labels, video.size)
        for group, becomes_reference in enumerate(refer):
            write = self._refer if becomes_reference else self._remember
            write(video, group, self._group_labels(video, labels, group))
        video.frame.in_memory = True

    def forget_rivals(self, video: VideoState) -> None:
        """Let reference frames forget the background where parts of objects were dropped."""
        dropped = video.frame.dropped
        if dropped is None:
            return
        away = self.rules.forget_around * longer_sides(video.places.boxes)
        for (group, number), reference in video.references.items():
            own = self._own(group)
            less = reference.without(dropped[own], away[own], self._unknown)
            if less is not reference:
                video.references[group, number] = less
                memory = self._reference(less.features, less.labels)
                video.banks[group].rewrite(number, memory)

    @property
    def _unknown(self) -> int:
        """The label of pixels without an identity embedding."""
        return self.model.config.objects + 1

    def _own(self, group: int) -> slice:
        """The objects of the group among all objects."""
        capacity = self.model.config.objects
        return slice(group * capacity, (group + 1) * capacity)

    def _group_labels(self, video: VideoState, labels: Tensor, group: int) -> Tensor:
        """Of labels [1,h,w] those of one group; other groups are background.

        Objects that do not enter memory with their identity are unknown, see `hqtrack.rules.known`.
        """
        own = self._own(group)
        inside = (labels > own.start) & (labels <= own.stop)
        labels = torch.where(inside, labels - own.start, 0)
        doubted = video.frame.number - video.places.frames
        sure = known(video.frame.confidence, doubted, self.rules)[own]
        return forget(labels, sure, self._unknown)

    def _refer(self, video: VideoState, group: int, labels: Tensor) -> None:
        """Make the last frame a reference frame of the group."""
        frame = video.frame
        video.banks[group].add_reference(frame.number, self._reference(frame.features, labels))
        if self.rules.forgets_background:
            masks = labels_to_masks(frame.known, video.objects)[self._own(group)]
            reference = Reference.of(frame.features, labels, masks, self.rules.forget_around)
            video.references[group, frame.number] = reference

    def _reference(self, features: Features, labels: Tensor) -> FrameMemory:
        """The memory of a reference frame with these labels [1,h,w] of a group."""
        with stage(Stage.PROPAGATE), precision(labels.device, self.dtype):
            return self.model.reference(features, labels)

    def _remember(self, video: VideoState, group: int, labels: Tensor) -> None:
        """Write the last frame, as propagated, into the group's memory."""
        with stage(Stage.PROPAGATE), precision(labels.device, self.dtype):
            memory = self.model.memorize(video.frame.states[group], labels)
        sure = video.frame.trusted[self._own(group)].any()
        video.banks[group].add(video.frame.number, memory, bool(sure))


def forget(labels: Tensor, sure: NDArray[np.bool_], number: int) -> Tensor:
    """Labels [1,h,w] in which objects that are not known for sure [N] become `number`.

    So does the background within a margin around them.
    """
    if sure.all():
        return labels
    stays = to_device(np.append(True, sure), labels.device)
    doubted = ~stays[labels.long().clamp(max=len(sure))] & (labels <= len(sure))
    near = F.max_pool2d(doubted.float(), 2 * MARGIN + 1, 1, MARGIN) > 0
    return torch.where(doubted | (near & (labels == 0)), number, labels)
