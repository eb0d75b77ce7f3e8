"""The sources of clips: images with the masks of their objects, read on demand."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as run_lengths  # type: ignore[import-untyped]

from hqtrack.errors import InputError
from hqtrack.types import Image, LabelMap
from hqtrack.video import read_image
from hqtrack.video.mask_files import read_mask_file

VOID = 255
"""Label of pixels of which nothing is known: no loss looks at them."""


def is_object(labels: LabelMap) -> NDArray[np.bool_]:
    """Where a label map shows objects, neither background nor `VOID`."""
    return (labels > 0) & (labels != VOID)


class Annotated(Protocol):
    """An image on disk with the masks of its objects."""

    @property
    def image(self) -> Path:
        """The file of the image."""

    def read(self) -> tuple[Image, LabelMap]:
        """The image [H,W,3] and its label map [H,W], in which `VOID` is unknown.

        Raises InputError, which names the file, if one is damaged or their sizes differ.
        """


@dataclass(frozen=True)
class MaskedImage:
    """An image and the file with its label map or mask, see `read_objects`, if there is one."""

    image: Path
    mask: Path | None

    def read(self) -> tuple[Image, LabelMap]:
        """See `Annotated`; without a mask file all is `VOID`."""
        image = read_image(self.image)
        if self.mask is None:
            return image, np.full(image.shape[:2], VOID, np.int32)
        labels = read_objects(self.mask)
        _check_sizes(self.image, image, labels, str(self.mask))
        return image, labels


@dataclass(frozen=True)
class Outlined:
    """An image and its instances in COCO's format, polygons or run lengths, the largest first.

    `size` is the (height, width) for which the instances were drawn.
    """

    image: Path
    size: tuple[int, int]
    instances: tuple[Any, ...]

    def read(self) -> tuple[Image, LabelMap]:
        """See `Annotated`; instance k is label k + 1 and covers larger ones; 254 count."""
        image = read_image(self.image)
        labels = np.zeros(self.size, np.int32)
        for number, outline in enumerate(self.instances[: VOID - 1], start=1):
            labels[_filled(outline, self.size, self.image)] = number
        _check_sizes(self.image, image, labels, f"its entry in the annotations of {self.image}")
        return image, labels


@dataclass(frozen=True)
class AnnotatedVideo:
    """The frames of a video, in order.

    Attributes:
        name: name of its folder.
        frames: at least 2 with a mask; others may have none.
        spacing: frames of the video from one of `frames` to the next, usually 1.
    """

    name: str
    frames: tuple[MaskedImage, ...]
    spacing: int = 1

    @property
    def annotated(self) -> list[int]:
        """Which of the frames have a mask, ascending."""
        return [index for index, frame in enumerate(self.frames) if frame.mask is not None]

    @property
    def scene(self) -> str:
        """What it shows: videos whose names differ in `_a` and `_b` at the end show the same."""
        return self.name.removesuffix("_a").removesuffix("_b")


@dataclass(frozen=True)
class Dataset:
    """Videos or stills of one place.

    Attributes:
        name: its folder.
        layout: a key of `training.data.layouts.LAYOUTS`.
        videos: empty for a dataset of stills.
        stills: empty for a dataset of videos.
        skipped: messages about what was skipped and why.
        share: how often it is used, relative to other datasets of its kind.
    """

    name: str
    layout: str
    videos: tuple[AnnotatedVideo, ...] = ()
    stills: tuple[Annotated, ...] = ()
    skipped: tuple[str, ...] = ()
    share: float = 1.0

    @property
    def images(self) -> Sequence[Annotated]:
        """All stills, all frames of the videos that have a mask."""
        frames = (video.frames[index] for video in self.videos for index in video.annotated)
        return [*self.stills, *frames]


def read_objects(path: Path) -> LabelMap:
    """Read the mask file of an image: label map [H,W], 0 = background, `VOID` = unknown.

    See `hqtrack.video.mask_files` for what files mean; raises its errors.
    """
    content = read_mask_file(path)
    labels = content.labels
    # an object of a file of 16 bits may have the number
    labels[labels == VOID] = int(labels.max(initial=0)) + 1
    if content.void is not None:
        labels[content.void] = VOID
    return labels


def _filled(outline: Any, size: tuple[int, int], image: Path) -> NDArray[np.bool_]:
    """The mask [H,W] of a COCO segmentation: polygons, or run lengths, compressed or not."""
    try:
        if isinstance(outline, list):
            runs = run_lengths.merge(run_lengths.frPyObjects(outline, *size))
        elif isinstance(outline["counts"], list):
            runs = run_lengths.frPyObjects(outline, *size)
        else:
            runs = outline
        with warnings.catch_warnings():
            # numpy 2 warns about pycocotools' array class
            warnings.simplefilter("ignore", DeprecationWarning)
            mask: NDArray[np.bool_] = run_lengths.decode(runs).astype(bool)
    except Exception as error:  # pycocotools raises bare exceptions
        raise InputError(
            f"an instance of {image} has no usable segmentation ({error}): correct it in the "
            "annotations"
        ) from error
    if mask.shape != size:
        raise InputError(f"an instance of {image} is {mask.shape}, its image {size}: correct it")
    return mask


def _check_sizes(path: Path, image: Image, labels: LabelMap, masks: str) -> None:
    if image.shape[:2] != labels.shape:
        drawn, taken = (f"{shape[1]}x{shape[0]}" for shape in (labels.shape, image.shape))
        raise InputError(
            f"{path} is {taken}, {masks} is {drawn}: masks need the size of their image"
        )
