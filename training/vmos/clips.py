"""Training clips, each a pure function of its number: from video, from stills, or generated."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, TypeVar, cast

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from hqtrack import synthetic
from hqtrack.errors import InputError
from hqtrack.types import Image, LabelMap
from training.data.sources import VOID, Dataset, is_object
from training.vmos import warp
from training.vmos.picks import pick_frames

AnyArray = TypeVar("AnyArray", bound=NDArray[Any])

SMALLEST = 40
"""Smallest object on the first frame, in pixels; smaller ones become background."""

TRIES = 20
"""After so many clips in a row without an object, an error is raised."""


class Clip(NamedTuple):
    """Frames [B,F,3,h,w] float32, normalised, and their labels [B,F,h,w] int64, some `VOID`."""

    frames: Tensor
    labels: Tensor


class RawClip(NamedTuple):
    """A loaded clip, and the parameters of `training.vmos.augment`; in batches [B,...].

    Attributes:
        frames: [F,h,w,3] uint8 RGB.
        labels: [F,h,w] uint8; `VOID` where nothing is known, see `training.sources`.
        colour: [3,4] float32, an affine map of colours (red, green, blue, 1).
        flip: bool, whether to mirror left and right.
    """

    frames: Tensor
    labels: Tensor
    colour: Tensor
    flip: Tensor


@dataclass(frozen=True)
class ClipConfig:
    """The composition of the clips.

    Attributes:
        size: height, a multiple of the network's coarse stride plus 1.
        width: likewise; 0 for squares. Wide clips show what the tracker sees: whole frames.
        frames: frames per clip.
        video: share of clips from video; `generated` is the generator's share of the other clips.
        generated: see `video`.
        hidden: share of clips in which something is painted over for a while.
        max_gap: largest distance in frames of the video between two frames of the clip.
        widest: largest height of a crop from video, relative to the frame's short side; above 1
            there is a black margin.
        mosaic: share of the clips from video in which four of them stand side by side at half the
            size: more objects, and smaller ones.
        zoom: standard deviation of the logarithm of the zoom from the first to the last frame of a
            clip from video, and of its rotation in radians.
        objects: number of identities.
    """

    size: int = 97
    width: int = 0
    frames: int = 3
    video: float = 0.4
    generated: float = 0.15
    hidden: float = 0.0
    max_gap: int = 6
    widest: float = 1.1
    mosaic: float = 0.0
    zoom: float = 0.0
    objects: int = 10


class Clips(TorchDataset[RawClip]):
    """Endless clips; clip number i is the same for the same seed, in any process.

    Raises InputError if there is no dataset for a share of the clips. A clip raises InputError if a
    file is damaged or no object is found in `TRIES` attempts.
    """

    def __init__(self, config: ClipConfig, datasets: Sequence[Dataset], seed: int) -> None:
        self.config = config
        self._datasets = datasets
        self.videos = [dataset for dataset in datasets if dataset.videos]
        self.stills = [dataset for dataset in datasets if dataset.stills]
        self.seed = seed
        _check(config, bool(self.videos), bool(self.stills))

    def __getitem__(self, index: int) -> RawClip:
        rng = np.random.default_rng((self.seed, index))
        kind = rng.random()
        for _ in range(TRIES):
            images, labels = self._draw(rng, kind)
            if rng.random() < self.config.hidden:
                images, labels = warp.hide(rng, images, labels)
            labels = self._assign(rng, labels)
            if is_object(labels[0]).any():
                break
        else:
            raise InputError(
                f"{TRIES} clips in a row have no object of {SMALLEST} pixels: "
                "check the masks, or train on larger clips"
            )
        return RawClip(
            torch.from_numpy(np.ascontiguousarray(images)),
            torch.from_numpy(labels.astype(np.uint8)),
            torch.from_numpy(warp.colour_map(rng, 0.3)),
            torch.tensor(rng.random() < 0.5),
        )

    def _draw(self, rng: Generator, kind: float) -> tuple[Image, LabelMap]:
        """Images [F,h,w,3] and label maps [F,h,w] of a clip; `kind` in [0, 1) picks the source."""
        video = self.config.video
        if kind >= video + (1 - video) * self.config.generated:
            return self._from_stills(rng)
        if kind >= video:
            return self._generated(rng)
        if self.config.mosaic and rng.random() < self.config.mosaic:
            return self._mosaic(rng)
        images, labels = self._from_video(rng)
        if self.stills and rng.random() < 0.5:
            return self._add_cutout(rng, images, labels)
        return images, labels

    def _from_video(self, rng: Generator) -> tuple[Image, LabelMap]:
        """Frames of one video, some frames apart, with the same crop around the object."""
        dataset = _choose(rng, self.videos)
        video = dataset.videos[rng.integers(len(dataset.videos))]
        picked = pick_frames(rng, video, self.config.frames, self.config.max_gap)
        pairs = [frame.read() for frame in picked]
        crop = self._crop(rng, pairs[0][1], rng.uniform(0.3, self.config.widest))
        zoom, turn = rng.normal(0, self.config.zoom, 2)
        seen = []
        for (image, labels), share in zip(pairs, np.linspace(0, 1, len(pairs)), strict=True):
            target = self._middle + rng.normal(0, 1.5, 2)
            wobble = warp.affine(
                self._middle, (target[0], target[1]), share * turn, float(np.exp(share * zoom)), 0.0
            )
            move = _compose(wobble, crop)
            seen.append(warp.sample(image, labels, move, self._shape))
        return _stack(seen)

    def _mosaic(self, rng: Generator) -> tuple[Image, LabelMap]:
        """Four clips from video at half the size, two above two, with the objects of all."""
        images, label_maps, objects = [], [], 0
        for _ in range(4):
            frames, labels = self._tiles._from_video(rng)
            images.append(frames)
            label_maps.append(_renumber(labels, objects + 1))
            objects = int(label_maps[-1][is_object(label_maps[-1])].max(initial=objects))
        return _tile(images, self._shape), _tile(label_maps, self._shape)

    @cached_property
    def _tiles(self) -> "Clips":
        """The same clips at half the size."""
        height, width = self._shape
        half = replace(self.config, size=(height + 1) // 2, width=(width + 1) // 2)
        return Clips(half, self._datasets, self.seed)

    def _from_stills(self, rng: Generator) -> tuple[Image, LabelMap]:
        """One moving image with its instances, and moving cut-outs of others over it."""
        image, labels = self._still(rng)
        labels = _keep(rng, labels, int(rng.integers(0, 3)))
        crop = self._crop(rng, labels, rng.uniform(0.4, 1.0))
        size = self.config.size
        seen = []
        for dx, dy, angle, zoom, shear in warp.motion(rng, self.config.frames, size, 0.35):
            move = warp.affine(
                self._middle,
                (self._middle[0] + dx, self._middle[1] + dy),
                0.5 * angle,
                float(np.exp(zoom)),
                shear,
            )
            field = warp.deformation(rng, self._shape, 0.8)
            seen.append(
                warp.sample(
                    image, labels, _compose(move, crop), self._shape, field, cv2.BORDER_REFLECT
                )
            )
        images, label_maps = _stack(seen)
        for _ in range(rng.integers(1, 4)):
            images, label_maps = self._add_cutout(rng, images, label_maps)
        return images, label_maps

    def _add_cutout(
        self, rng: Generator, images: Image, labels: LabelMap
    ) -> tuple[Image, LabelMap]:
        """Paste one moving and deforming instance of a still over all frames."""
        image, instances = self._still(rng)
        mask = _keep(rng, instances, 1)
        if not mask.any():
            return images, labels
        rows, columns = np.nonzero(mask)
        extent = max(np.ptp(rows), np.ptp(columns)) + 1
        size = self.config.size
        scale = size * rng.uniform(0.2, 0.7) / extent
        start = rng.uniform(0.15, 0.85, 2) * self._shape[::-1]
        angle = rng.normal(0, 0.3)
        flip = rng.choice([-1.0, 1.0])
        label = int(labels[is_object(labels)].max(initial=0)) + 1
        unlabelled = rng.random() < 0.15
        images, labels = images.copy(), labels.copy()
        centre = (float(columns.mean()), float(rows.mean()))
        for frame, pose in enumerate(warp.motion(rng, len(images), size, 0.7)):
            dx, dy, turn, zoom, shear = pose
            move = warp.affine(
                centre,
                (start[0] + dx, start[1] + dy),
                angle + turn,
                scale * float(np.exp(zoom)),
                shear,
            )
            move[:, 0] *= flip
            move[:, 2] = np.array((start[0] + dx, start[1] + dy)) - move[:, :2] @ centre
            field = warp.deformation(rng, self._shape, 0.02 * size)
            picture, cut = warp.sample(image, mask, move, self._shape, field)
            inside = cut > 0
            images[frame][inside] = picture[inside]
            labels[frame][inside] = 0 if unlabelled else label
        return images, labels

    def _generated(self, rng: Generator) -> tuple[Image, LabelMap]:
        """Frames of a generated sequence, never from a reserved seed."""
        sequence = synthetic.generate(
            int(rng.integers(synthetic.RESERVED_SEED)),
            frames=self.config.frames,
            size=self._shape,
            objects=int(rng.integers(1, 6)),
        )
        return sequence.images, sequence.masks

    def _still(self, rng: Generator) -> tuple[Image, LabelMap]:
        dataset = _choose(rng, self.stills)
        return dataset.stills[rng.integers(len(dataset.stills))].read()

    def _crop(self, rng: Generator, labels: LabelMap, share: float) -> warp.Affine:
        """Map a crop, as high as `share` of the short side, onto the clip, mostly on an object."""
        height, width = labels.shape
        side = share * min(height, width)
        aspect = self._shape[1] / self._shape[0]
        rows, columns = np.nonzero(is_object(labels))
        centre = rng.uniform(0, 1, 2) * (width, height)
        if len(rows):
            pixel = rng.integers(len(rows))
            centre = np.array((columns[pixel], rows[pixel]), np.float64)
            centre += rng.normal(0, 0.2 * side, 2) * (aspect, 1)
            extent = max(np.ptp(rows), np.ptp(columns) / aspect)
            side = max(side, rng.uniform(0.6, 1.2) * extent)
        scale = self.config.size / side
        low = side / 2 * np.array((aspect, 1))
        high = np.maximum(np.array((width, height)) - low, low)
        centre = np.clip(centre, low, high)
        return warp.affine((centre[0], centre[1]), self._middle, rng.normal(0, 0.05), scale, 0.0)

    def _assign(self, rng: Generator, labels: LabelMap) -> LabelMap:
        """Give the objects of the first frame random identities; drop all others."""
        counts = np.bincount(labels[0].ravel(), minlength=max(VOID, int(labels.max())) + 1)
        present = [k for k in range(1, len(counts)) if k != VOID and counts[k] >= SMALLEST]
        chosen = rng.permutation(present)[: self.config.objects].astype(np.int64)
        table = np.zeros(len(counts), np.int32)
        table[VOID] = VOID
        table[chosen] = rng.permutation(self.config.objects)[: len(chosen)] + 1
        return table[labels]

    @property
    def _middle(self) -> tuple[float, float]:
        height, width = self._shape
        return width / 2, height / 2

    @property
    def _shape(self) -> tuple[int, int]:
        """Height and width of the clips."""
        return self.config.size, self.config.width or self.config.size


def _check(config: ClipConfig, videos: bool, stills: bool) -> None:
    """Raise InputError for invalid numbers, or if a kind of clip has no dataset."""
    if not 0 <= config.video <= 1 or not 0 <= config.generated <= 1:
        raise InputError(
            f"shares of {config.video} from video and {config.generated} generated: "
            "give numbers from 0 to 1"
        )
    if not 1 <= config.objects < VOID:
        raise InputError(f"clips with {config.objects} identities: give 1 to {VOID - 1}")
    if config.video and not videos:
        raise InputError(
            f"a share of {config.video} of the clips comes from video, but no dataset has video: "
            "give one, or a share of 0"
        )
    if config.video < 1 and config.generated < 1 and not stills:
        raise InputError(
            "some of the clips come from stills, but no dataset has stills: give one, or a share "
            "of 1 of generated clips"
        )


def _choose(rng: Generator, datasets: Sequence[Dataset]) -> Dataset:
    """One of the datasets, by their shares."""
    shares = np.array([dataset.share for dataset in datasets])
    return datasets[rng.choice(len(datasets), p=shares / shares.sum())]


def _keep(rng: Generator, labels: LabelMap, most: int) -> LabelMap:
    """Keep up to `most` objects that are neither specks nor fill nearly everything."""
    counts = np.bincount(labels[labels != VOID])
    fit = [k for k in range(1, len(counts)) if 0.004 < counts[k] / labels.size < 0.6]
    kept = rng.permutation(fit)[:most].astype(np.int64)
    table = np.zeros(max(len(counts), VOID + 1), np.int32)
    table[kept] = np.arange(1, len(kept) + 1)
    return table[labels]


def _compose(second: warp.Affine, first: warp.Affine) -> warp.Affine:
    """The affine map that applies `first`, then `second`."""
    return np.column_stack(
        [second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]]
    )


def _renumber(labels: LabelMap, first: int) -> LabelMap:
    """The same objects with the numbers `first` and up."""
    present = np.unique(labels[is_object(labels)])
    table = np.arange(max(VOID, int(labels.max())) + 1, dtype=np.int32)
    table[present] = np.arange(first, first + len(present))
    return table[labels]


def _tile(parts: Sequence[AnyArray], shape: tuple[int, int]) -> AnyArray:
    """Four arrays [F,h,w,...], two above two, cut to [F,height,width,...]."""
    rows = [np.concatenate(parts[start : start + 2], axis=2) for start in (0, 2)]
    return cast(AnyArray, np.concatenate(rows, axis=1)[:, : shape[0], : shape[1]])


def _stack(seen: Sequence[tuple[Image, LabelMap]]) -> tuple[Image, LabelMap]:
    return np.stack([image for image, _ in seen]), np.stack([labels for _, labels in seen])
