"""Memory of a video: which frames stay in it, and which of them the next frame reads."""

import copy
from collections import deque
from collections.abc import Set
from typing import NamedTuple

import torch
from torch import Tensor

from vmos import FrameMemory
from vmos.attention import LayerMemory

_NEW = -1
"""The place of a frame that enters long-term memory, among those that are there."""


class Remembered(NamedTuple):
    """A frame in memory: its number, counted from 0, and the memory of every layer."""

    frame: int
    memory: FrameMemory


class MemoryFrames(NamedTuple):
    """The frames that one group of objects read, counted from 0, oldest first."""

    long_term: tuple[int, ...]
    short_term: int


def frames_to_keep(frames: list[int], references: set[int], new: int, size: int) -> list[int]:
    """The frames that stay in long-term memory when frame `new` enters it.

    Args:
        frames: the frames in long-term memory, oldest first.
        references: the reference frames, which are never dropped.
        new: the frame that enters.
        size: the largest number of frames, with the new one. Reference frames count, but stay in
            any case.

    Returns:
        The frames of `frames` that stay, in order. The oldest frame that is not a reference frame
        is dropped first. A frame that enters again replaces itself.
    """
    kept = [frame for frame in frames if frame != new]
    spare = [frame for frame in kept if frame not in references]
    surplus = max(0, len(kept) + 1 - size)
    return [frame for frame in kept if frame not in spare[:surplus]]


def groups_that_refer(
    objects: int, added: int, capacity: int, referred: Set[int] = frozenset()
) -> list[bool]:
    """For which groups a frame on which objects are added becomes a reference.

    Args:
        objects: how many the video has before; 0 when it starts.
        added: how many are added, at least 1.
        capacity: how many objects a group holds.
        referred: the groups for which this frame is a reference already, because others were added
            on it before.

    Returns:
        One answer per group afterwards: True for the groups that the new objects join or open and
        for those in `referred`; False for the others, for which the frame is memorized as any frame
        is.
    """
    first_joined = objects // capacity
    groups = (objects + added - 1) // capacity + 1
    return [group >= first_joined or group in referred for group in range(groups)]


class MemoryBank:
    """The memory of one group of objects (DeAOT's long and short term, capped as in HQTrack).

    Long-term memory contains the reference frames and one frame every `gap` frames, `size` in
    total. Short-term memory is the frame `lag` frames back, or the last reference frame if that is
    nearer.

    A frame on which nothing is trusted does not enter long-term memory if ``wait``, and short-term
    memory if at most ``hold`` frames in a row were left out, see `hqtrack.rules.MemoryRules`.
    Keys in long-term memory are multiplied by ``sharpness``.
    """

    def __init__(
        self,
        gap: int,
        size: int,
        lag: int,
        wait: bool = False,
        hold: int = 0,
        sharpness: float = 1.0,
    ) -> None:
        self.gap = gap
        self.size = size
        self.wait = wait
        self.hold = hold
        self.sharpness = sharpness
        self.references: set[int] = set()
        self.frames: list[int] = []
        self._long_term: FrameMemory = ()
        self._recent: deque[Remembered] = deque(maxlen=lag)
        self._last_kept = 0
        self._held = 0

    @property
    def long_term(self) -> FrameMemory:
        """For each layer the tokens of all frames in `frames`, one after the other."""
        return self._long_term

    @property
    def short_term(self) -> Remembered:
        """The frame that short-term attention reads."""
        return self._recent[0]

    @property
    def frames_read(self) -> MemoryFrames:
        """The frames that attention reads from the present memory."""
        return MemoryFrames(tuple(self.frames), self.short_term.frame)

    def add_reference(self, frame: int, memory: FrameMemory) -> None:
        """Add a reference frame, on which objects were given; it is never dropped.

        Short-term memory restarts with it, because older frames do not know the new objects.
        """
        self._keep(frame, memory)
        self.references.add(frame)
        self._recent.clear()
        self._recent.append(Remembered(frame, memory))
        self._held = 0

    def rewrite(self, frame: int, memory: FrameMemory) -> None:
        """Replace the memory of a reference frame, wherever it is."""
        order = [_NEW if other == frame else place for place, other in enumerate(self.frames)]
        self._arrange(order, memory)
        for index, recent in enumerate(self._recent):
            if recent.frame == frame:
                self._recent[index] = Remembered(frame, memory)

    def add(self, frame: int, memory: FrameMemory, trusted: bool = True) -> None:
        """Add a tracked frame; if the same frame comes again, it replaces the old memory."""
        if self._recent and self._recent[-1].frame == frame:
            self._recent[-1] = Remembered(frame, memory)
        elif trusted or self._held >= self.hold:
            self._recent.append(Remembered(frame, memory))
            if trusted:
                self._held = 0
        else:
            self._held += 1
        due = frame - self._last_kept >= self.gap and (trusted or not self.wait)
        if frame in self.frames or due:
            self._keep(frame, memory)

    def copy(self) -> "MemoryBank":
        """A bank with the same frames, which it may forget on its own; tensors are shared."""
        twin = copy.copy(self)
        twin.references = set(self.references)
        twin.frames = list(self.frames)
        twin._recent = self._recent.copy()
        return twin

    def _keep(self, frame: int, memory: FrameMemory) -> None:
        kept = frames_to_keep(self.frames, self.references, frame, self.size)
        self._arrange([*(self.frames.index(other) for other in kept), _NEW], memory)
        self.frames = [*kept, frame]
        self._last_kept = frame

    def _arrange(self, order: list[int], memory: FrameMemory) -> None:
        """Take long-term memory's frames in this order, with those of ``memory`` at `_NEW`."""
        if self.sharpness != 1:
            memory = tuple(LayerMemory(new.key * self.sharpness, new.value) for new in memory)
        if self._long_term:
            memory = tuple(
                LayerMemory(
                    _arranged(old.key, len(self.frames), order, new.key),
                    _arranged(old.value, len(self.frames), order, new.value),
                )
                for old, new in zip(self._long_term, memory, strict=True)
            )
        self._long_term = memory


def _arranged(tokens: Tensor, frames: int, order: list[int], new: Tensor) -> Tensor:
    """The tokens [B,T*N,C] of the frames in this order, and at `_NEW` the new frame's [B,N,C]."""
    parts = [*tokens.chunk(frames, dim=1), new]
    return torch.cat([parts[place] for place in order], dim=1)
