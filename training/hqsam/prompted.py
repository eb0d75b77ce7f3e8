"""Views of objects with prompts, for training everything that HQ-SAM light has.

Sample number n depends only on the seed and n.
"""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils import data

from hqtrack.errors import InputError
from hqtrack.masks import mask_boxes
from hqtrack.types import Image, LabelMap
from hqtrack.windows import Window, around, cut, to_window, whole
from training.data.sources import VOID, Annotated, Dataset, is_object
from training.hqsam.clicks import damage, first_clicks

POINTS = 4
"""Most clicks that a prompt starts with."""

SMALLEST = 100
"""Smallest object to learn from, in pixels of the image."""

KEPT_BACK = 13
"""Of the stills, one in so many is held out, see `is_held_out`."""

_TRIES = 20
_FRAMES = 0.35
_MARGINS = (1.2, 2.4)
_BOX_NOISE = 0.07


class Prompted(NamedTuple):
    """A view and two prompts for its object; in batches [B,...].

    S is the side of the view, P is `POINTS`.

    Attributes:
        pixels: [3,S,S] uint8 RGB.
        target: [S,S] uint8, the share of the object in each pixel, 255 for all of it.
        known: [S,S] bool, where the target is known.
        boxes: [2,4] left, top, right, bottom; NaN without a box.
        points: [2,P,2] (x, y). labels: [2,P] 1, 0, or -1 where there is none.
        masks: [2,1,S/4,S/4] float32 logits. given: [2] bool, whether there is a mask.
    """

    pixels: Tensor
    target: Tensor
    known: Tensor
    boxes: Tensor
    points: Tensor
    labels: Tensor
    masks: Tensor
    given: Tensor


def is_held_out(still: Annotated) -> bool:
    """Whether a still is for measuring: one in `KEPT_BACK`, by the CRC-32 of its file's stem."""
    return zlib.crc32(still.image.stem.encode()) % KEPT_BACK == 0


def split_stills(dataset: Dataset) -> tuple[list[Annotated], list[Annotated]]:
    """The stills of a dataset to train on, and those held out."""
    kept: tuple[list[Annotated], list[Annotated]] = ([], [])
    for still in dataset.stills:
        kept[is_held_out(still)].append(still)
    return kept


class Source(NamedTuple):
    """Images, and how often they are used relative to those of other sources."""

    images: Sequence[Annotated]
    share: float


class PromptedObjects(data.Dataset[Prompted]):
    """Endless views of objects with their prompts."""

    def __init__(self, sources: Sequence[Source], side: int, seed: int) -> None:
        self.sources = sources
        self.side = side
        self._seed = seed
        shares = np.array([source.share for source in sources])
        self._shares = shares / shares.sum()

    def __getitem__(self, number: int) -> Prompted:
        """One sample. Raises InputError where a file is damaged or no object is found."""
        rng = np.random.default_rng((self._seed, number))
        for _ in range(_TRIES):
            images = self.sources[int(rng.choice(len(self.sources), p=self._shares))].images
            image, labels = images[int(rng.integers(len(images)))].read()
            if (chosen := _choose(rng, labels)) is not None:
                return self._view(rng, image, labels, chosen)
        raise InputError(f"{_TRIES} images in a row have no object of {SMALLEST} pixels")

    def _view(self, rng: Generator, image: Image, labels: LabelMap, chosen: int) -> Prompted:
        if rng.random() < 0.5:
            image, labels = image[:, ::-1], labels[:, ::-1]
        mask = labels == chosen
        framed = rng.random() < _FRAMES
        window = _window(rng, mask, framed)
        if not cut(mask.view(np.uint8), window, self.side, 0).any():
            window = whole(mask.shape)
        pixels = _recoloured(rng, cut(np.ascontiguousarray(image), window, self.side))
        target = cut(np.where(mask, np.uint8(255), np.uint8(0)), window, self.side, 0)
        void = cut(np.where(labels == VOID, np.uint8(255), np.uint8(0)), window, self.side, 0)
        return Prompted(
            torch.from_numpy(pixels).permute(2, 0, 1).contiguous(),
            torch.from_numpy(target),
            torch.from_numpy(void == 0),
            *self._prompts(rng, mask, target, window),
        )

    def _prompts(
        self,
        rng: Generator,
        mask: NDArray[np.bool_],
        target: NDArray[np.uint8],
        window: Window,
    ) -> tuple[Tensor, ...]:
        """One prompt with a box or a mask, one with clicks; see `Prompted`."""
        box = to_window(_jittered(rng, mask_boxes(mask[None])[0], _BOX_NOISE), window, self.side)
        boxes = np.full((2, 4), np.nan, np.float32)
        points, labels = np.zeros((2, POINTS, 2), np.float32), np.full((2, POINTS), -1)
        small = self.side // 4
        masks, given = np.zeros((2, 1, small, small), np.float32), np.zeros(2, np.bool_)
        kind = rng.random()
        if kind < 0.85:
            boxes[0] = np.clip(box, -0.5, self.side - 0.5)
        if kind > 0.6:
            masks[0, 0] = damage(rng, target, small)
            given[0] = True
        kind = rng.random()
        count = 1 if kind < 0.65 else int(rng.integers(2, POINTS + 1))
        points[1, :count], labels[1, :count] = first_clicks(rng, target > 127, count)
        if kind > 0.9:
            boxes[1] = np.clip(box, -0.5, self.side - 0.5)
        return tuple(map(torch.from_numpy, (boxes, points, labels, masks, given)))


def _choose(rng: Generator, labels: LabelMap) -> int | None:
    """One of the objects, the larger the likelier; None without one that is large enough."""
    counts = np.bincount(labels[is_object(labels)])
    fit = np.flatnonzero(counts >= SMALLEST)
    if not len(fit):
        return None
    weights = np.sqrt(counts[fit])
    return int(rng.choice(fit, p=weights / weights.sum()))


def _jittered(rng: Generator, box: NDArray[np.float64], noise: float) -> NDArray[np.float64]:
    """A box with every side moved by some share of its extent; half of the boxes stay."""
    if rng.random() < 0.5:
        return box
    extent = np.tile(box[2:] - box[:2] + 1, 2)
    moved: NDArray[np.float64] = box + rng.normal(0, noise, 4) * extent
    return np.concatenate([np.minimum(moved[:2], box[2:]), np.maximum(moved[2:], box[:2])])


def _window(rng: Generator, mask: NDArray[np.bool_], framed: bool) -> Window:
    """The whole frame, or a window around the object that need not be in its middle."""
    if framed and rng.random() < 0.6:
        return whole(mask.shape)
    low, high = (1.5, 5.0) if framed else _MARGINS
    box = mask_boxes(mask[None])[0]
    window = around(_jittered(rng, box, 0.1), mask.shape, float(rng.uniform(low, high)))
    reach = 0.3 if framed else 0.08
    shift = (rng.uniform(-reach, reach, 2) * window.side).astype(int)
    return Window(window.left + int(shift[0]), window.top + int(shift[1]), window.side)


def _recoloured(rng: Generator, image: Image) -> Image:
    """Other light, contrast, tint and saturation; sometimes blurred, without colour or noisy."""
    pixels = image.astype(np.float32)
    grey = pixels.mean(axis=2, keepdims=True)
    pixels = grey + (pixels - grey) * (0 if rng.random() < 0.05 else rng.uniform(0.6, 1.4))
    middle = pixels.mean()
    pixels = middle + (pixels - middle) * rng.uniform(0.7, 1.3)
    pixels = pixels * rng.uniform(0.75, 1.25) + rng.normal(0, 8, 3).astype(np.float32)
    if rng.random() < 0.15:
        pixels = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.5, 1.8)))
    if rng.random() < 0.15:
        pixels = pixels + rng.normal(0, rng.uniform(2, 10), pixels.shape)
    recoloured: Image = pixels.clip(0, 255).astype(np.uint8)
    return recoloured
