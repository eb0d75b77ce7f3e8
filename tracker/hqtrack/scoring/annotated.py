"""Sequences with the true masks of their objects on every frame: on disk or generated."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hqtrack.errors import InputError
from hqtrack.masks import label_masks, labels_to_masks
from hqtrack.synthetic import FRAMES, MAX_OBJECTS, RESERVED_SEED, SIZE, generate
from hqtrack.types import Image, Masks
from hqtrack.video import Sequence, read_frames
from hqtrack.video.mask_files import tell


class AnnotatedFrame(NamedTuple):
    """A frame [H,W,3], its file name or number, and the true masks [N,H,W] of its objects.

    The mask of an absent object is empty. void [H,W]: where nothing is known, if anywhere; such
    pixels belong to no object, and no measure counts them.
    """

    name: str
    image: Image
    masks: Masks
    void: NDArray[np.bool_] | None = None


class Annotated(Protocol):
    """A sequence with the true masks, on every frame, of the objects of its first frame."""

    @property
    def name(self) -> str:
        """The name of the results."""

    @property
    def objects(self) -> tuple[int, ...]:
        """The number of each object, ascending."""

    def __len__(self) -> int:
        """Number of frames."""

    def read(self) -> Iterator[AnnotatedFrame]:
        """All frames from the first on, made or decoded on demand.

        Raises InputError if a frame cannot be read or made.
        """


@dataclass(frozen=True)
class OnDisk:
    """A sequence of files; an ``Annotated`` when it is fully annotated."""

    sequence: Sequence

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.sequence.name

    @property
    def objects(self) -> tuple[int, ...]:
        """The labels on the first frame."""
        return self.sequence.objects

    def __len__(self) -> int:
        """Number of images."""
        return len(self.sequence.frames)

    def read(self) -> Iterator[AnnotatedFrame]:
        """See ``Annotated.read``; raises InputError if label maps and images differ in size.

        A line on stderr says if there is void, or if masks were read in an unusual way.
        """
        told: set[str] = set()
        for index, image in enumerate(read_frames(self.sequence.frames)):
            content = self.sequence.content(index)
            tell(content, told)
            masks = label_masks(content.labels, self.objects)
            if masks.shape[1:] != image.shape[:2]:
                raise InputError(
                    f"{self.sequence.annotations[index]} is {masks.shape[2]}x{masks.shape[1]} but "
                    f"its image is {image.shape[1]}x{image.shape[0]}: label maps need the size of "
                    "the images"
                )
            yield AnnotatedFrame(self.sequence.frames[index].name, image, masks, content.void)


@dataclass(frozen=True)
class Generated:
    """A sequence of ``hqtrack.synthetic`` at its usual size and difficulty; an ``Annotated``."""

    seed: int
    count: int
    """Number of objects."""

    @property
    def name(self) -> str:
        """Number of objects and seed."""
        return f"{self.count:02d}_objects_{self.seed}"

    @property
    def objects(self) -> tuple[int, ...]:
        """1, 2, ..."""
        return tuple(range(1, self.count + 1))

    def __len__(self) -> int:
        """Number of frames."""
        return FRAMES

    def read(self) -> Iterator[AnnotatedFrame]:
        """See ``Annotated.read``; raises InputError if so many objects cannot be drawn."""
        drawn = generate(self.seed, FRAMES, SIZE, self.count)
        for number, (image, labels) in enumerate(zip(*drawn, strict=True), start=1):
            yield AnnotatedFrame(f"{number:08d}", image, labels_to_masks(labels, self.count))


def reserved_sequences(sequences: int, count: int) -> list[Annotated]:
    """Generated sequences of ``count`` objects each, from the first reserved seeds.

    Training never uses these seeds. Raises InputError for less than one sequence, or if so many
    objects cannot be drawn.
    """
    if sequences < 1:
        raise InputError(f"{sequences} generated sequences: give 1 or more")
    if not 1 <= count <= MAX_OBJECTS:
        raise InputError(f"{count} objects: give 1 to {MAX_OBJECTS}")
    return [Generated(RESERVED_SEED + index, count) for index in range(sequences)]
