"""HQ-SAM looks at a frame, whole or through one window per object, and answers prompts."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hqsam import HQSam, ImageEmbedding
from hqtrack.compute.acceleration import precision
from hqtrack.compute.transfer import to_device
from hqtrack.edges import at_places, filtered, guide_of
from hqtrack.types import Boxes, Image, Masks
from hqtrack.windows import Window, cut, paste, to_window

AT_ONCE = 10
"""Windows that are encoded, and prompts that are answered, together."""

_SURE = 8.0
"""Logit of a mask prompt that is made from a binary mask."""


@dataclass(frozen=True)
class Prompts:
    """Prompts for N objects, in pixels of the frame.

    Attributes:
        boxes: [N,4] left, top, right, bottom; inclusive pixel indices.
        points: [N,P,2] (x, y).
        labels: [N,P] 1 in the object, 0 outside, -1 where there is no point.
        masks: [N,H,W], coarse masks.
    """

    boxes: Boxes | None = None
    points: NDArray[np.float64] | None = None
    labels: NDArray[np.int64] | None = None
    masks: Masks | None = None

    def take(self, chosen: slice | NDArray[np.int64]) -> Prompts:
        """Those of some of the objects."""
        return Prompts(*(None if part is None else part[chosen] for part in self._parts()))

    @property
    def count(self) -> int:
        """The number of objects."""
        return len(next(part for part in self._parts() if part is not None))

    def tensors(self) -> list[Tensor | None]:
        """Boxes, points, labels and masks as tensors."""
        return [
            None if part is None else torch.from_numpy(np.ascontiguousarray(part))
            for part in self._parts()
        ]

    def _parts(self) -> tuple[NDArray[Any] | None, ...]:
        return self.boxes, self.points, self.labels, self.masks


class Answers(NamedTuple):
    """The network's masks for N prompts.

    Attributes:
        sam: [N,4,h,w] logits of SAM's masks, the first that of single-mask mode.
        hq: [N,1,h,w] logits of the HQ token, which are added to a SAM mask.
        scores: [N,4] predicted IoU.
    """

    sam: Tensor
    hq: Tensor
    scores: Tensor


class Look(Protocol):
    """An encoded frame."""

    def answer(self, prompts: Prompts) -> Answers:
        """The masks for one prompt for each object that is looked at."""

    def masks(self, logits: Tensor) -> Masks:
        """[N,M,h,w] logits of the N objects as masks [N,M,H,W] of the frame."""


class WholeLook:
    """Looks at the whole frame once, as published."""

    def __init__(self, model: HQSam, image: Image, dtype: torch.dtype = torch.float32) -> None:
        self._model = model
        plain = dtype == torch.float32  # then the image is resized as published, on the CPU
        device = next(model.parameters()).device
        with precision(device, dtype):
            self.embedding = model.embed(to_device(image, torch.device("cpu") if plain else device))

    def answer(self, prompts: Prompts) -> Answers:
        """See `Look.answer`; the prompts may be any number, but have no masks."""
        parts = []
        for start in range(0, prompts.count, AT_ONCE):
            some = prompts.take(slice(start, start + AT_ONCE))
            parts.append(_predict(self._model, self.embedding, some))
        return _joined(parts)

    def masks(self, logits: Tensor) -> Masks:
        """See `Look.masks`."""
        found = [
            (self._model.to_image(some, self.embedding) > 0).cpu().numpy()
            for some in logits.split(AT_ONCE)
        ]
        return np.concatenate(found)


class WindowLook:
    """Looks through one window for each object; equal windows are encoded once.

    With ``twice``, it also looks at each window's mirror image. An answer is the mean of both.
    """

    def __init__(
        self,
        model: HQSam,
        image: Image,
        windows: Sequence[Window],
        dtype: torch.dtype = torch.float32,
        twice: bool = False,
    ) -> None:
        self._model = model
        self._windows = windows
        self._image = image
        distinct = list(dict.fromkeys(windows))
        self._number = [distinct.index(window) for window in windows]
        self._sides: tuple[list[ImageEmbedding], ...] = tuple([] for _ in range(1 + twice))
        for start in range(0, len(distinct), AT_ONCE):
            views = [cut(image, one, model.side) for one in distinct[start : start + AT_ONCE]]
            shown = torch.from_numpy(np.stack(views))
            for mirrored, encoded in enumerate(self._sides):
                with precision(next(model.parameters()).device, dtype):
                    encoded.append(model.embed_views(shown.flip(2) if mirrored else shown))

    def repeated(self, times: int) -> WindowLook:
        """A look with every window so many times, one after the other; nothing is encoded."""
        look = copy(self)
        look._windows = [window for window in self._windows for _ in range(times)]
        look._number = [number for number in self._number for _ in range(times)]
        return look

    def answer(self, prompts: Prompts) -> Answers:
        """See `Look.answer`."""
        parts = []
        for start in range(0, len(self._windows), AT_ONCE):
            chosen = slice(start, start + AT_ONCE)
            inside = self._inside(prompts.take(chosen), self._windows[chosen])
            plain, *mirrored = (_embedding(each, self._number[chosen]) for each in self._sides)
            answers = _predict(self._model, plain, inside)
            for embedding in mirrored:
                other = _predict(self._model, embedding, mirror(inside, self._model.side))
                answers = Answers(
                    (answers.sam + other.sam.flip(-1)) / 2,
                    (answers.hq + other.hq.flip(-1)) / 2,
                    (answers.scores + other.scores) / 2,
                )
            parts.append(answers)
        return _joined(parts)

    def masks(self, logits: Tensor) -> Masks:
        """See `Look.masks`; they follow the edges of the image."""
        values = logits.float().cpu().numpy()
        shape = self._image.shape[:2]
        return np.array(
            [
                paste(_masks(some, cut(self._image, window, window.side)), window, *shape)
                for some, window in zip(values, self._windows, strict=True)
            ],
            np.bool_,
        )

    def _inside(self, prompts: Prompts, windows: Sequence[Window]) -> Prompts:
        """The prompts in the pixels of the views; masks become logits at a quarter of them."""
        side = self._model.side
        boxes, masks = prompts.boxes, prompts.masks

        def moved(places: NDArray[np.float64]) -> NDArray[np.float64]:
            pairs = zip(places, windows, strict=True)
            return np.stack([to_window(place, window, side) for place, window in pairs])

        if boxes is not None:
            boxes = moved(boxes).clip(-0.5, side - 0.5)
        if masks is not None:
            shown = [
                cut(mask.view(np.uint8) * np.uint8(255), window, side // 4, 0)
                for mask, window in zip(masks, windows, strict=True)
            ]
            masks = np.stack(shown)[:, None] > 127
        points = None if prompts.points is None else moved(prompts.points)
        return Prompts(boxes, points, prompts.labels, masks)


def _masks(logits: NDArray[np.float32], view: Image) -> Masks:
    """Logits [M,h,w] as masks [M,S,S] of the view [S,S,3] that they are about."""
    side = min(2 * logits.shape[-1], len(view))
    guide = guide_of(view, (side, side))
    masks = np.zeros((len(logits), *view.shape[:2]), np.bool_)
    for mask, values in zip(masks, logits, strict=True):
        full = cv2.resize(values, mask.shape, interpolation=cv2.INTER_LINEAR)
        probability = np.asarray(0.5 + 0.5 * np.tanh(at_places(full, (side, side)) / 2), np.float32)
        mask[:] = filtered(probability, guide) > 0.5
    return masks


def mirror(prompts: Prompts, side: int) -> Prompts:
    """The same prompts for the mirror image, left to right, of views of `side` pixels."""
    boxes, points, masks = prompts.boxes, prompts.points, prompts.masks
    if boxes is not None:
        boxes = np.where([True, False] * 2, side - 1 - boxes[:, [2, 1, 0, 3]], boxes)
    if points is not None:
        points = np.where([True, False], side - 1 - points, points)
    return Prompts(boxes, points, prompts.labels, None if masks is None else masks[..., ::-1])


def _embedding(encoded: list[ImageEmbedding], numbers: list[int]) -> ImageEmbedding:
    """Those of distinct windows with these numbers, one for each."""
    taken = [
        encoded[number // AT_ONCE].take(torch.tensor([number % AT_ONCE])) for number in numbers
    ]
    skips = [one.skip for one in taken if one.skip is not None]
    return taken[0]._replace(
        features=torch.cat([one.features for one in taken]),
        hq_features=torch.cat([one.hq_features for one in taken]),
        skip=torch.cat(skips) if skips else None,
    )


def _predict(model: HQSam, embedding: ImageEmbedding, prompts: Prompts) -> Answers:
    """The masks for prompts in pixels of the embedding's image, in float32."""
    boxes, points, labels, masks = prompts.tensors()
    if masks is not None:
        masks = torch.where(masks, _SURE, -_SURE)
    device = next(model.parameters()).device
    with precision(device, torch.float32):
        found = model.predict_all(embedding, points=points, labels=labels, boxes=boxes, masks=masks)
    return Answers(found.sam, found.hq, found.scores)


def _joined(parts: Sequence[Answers]) -> Answers:
    return Answers(*(torch.cat(part) for part in zip(*parts, strict=True)))
