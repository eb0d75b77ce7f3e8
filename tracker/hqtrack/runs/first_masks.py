"""First masks of objects: from files, or from boxes and points with HQ-SAM or GrabCut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from hqtrack import weights
from hqtrack.errors import InputError, MissingFileError
from hqtrack.runs.prompt_checks import check_prompts
from hqtrack.runs.targets import Box, Gone, MaskFile, Points, Prompt, Target, describe
from hqtrack.types import Image, Masks

if TYPE_CHECKING:  # it imports torch
    from hqsam import HQSam, ImageEmbedding

VARIANTS = ("vit_h", "vit_l", "vit_b", "vit_tiny")
"""The variants of HQ-SAM, the best first."""

_GRABCUT_ROUNDS = 5
_GRABCUT_SIDE = 320
_LEAST_FILLED = 0.2


class Prompted(Protocol):
    """Makes masks from boxes and points."""

    @property
    def name(self) -> str:
        """The name of the method."""

    def masks(self, image: Image, prompts: Sequence[Box | Points]) -> Masks:
        """One mask per prompt, [N,H,W]; all points and a part of every box must be in the image."""


class GrabCut:
    """Separates the colours in a box from those around it (Rother et al., 2004), with OpenCV."""

    name = "GrabCut"

    def masks(self, image: Image, prompts: Sequence[Box | Points]) -> Masks:
        """See ``Prompted.masks``; raises InputError for points, which need HQ-SAM."""
        return np.array([self._mask(image, box) for box in boxes_only(prompts)], np.bool_)

    def _mask(self, image: Image, prompt: Box) -> NDArray[np.bool_]:
        height, width = image.shape[:2]
        left, top = max(round(prompt.left), 0), max(round(prompt.top), 0)
        right, bottom = (
            min(round(prompt.right) + 1, width),
            min(round(prompt.bottom) + 1, height),
        )
        # a margin of half the box shows enough of the background
        across, down = (right - left + 1) // 2, (bottom - top + 1) // 2
        x, y = max(left - across, 0), max(top - down, 0)
        part = image[y : bottom + down, x : right + across]
        inside = _grabcut(part, (left - x, top - y, right - x, bottom - y))
        mask = np.zeros((height, width), np.bool_)
        mask[y : y + part.shape[0], x : x + part.shape[1]] = inside
        return mask


class HQSamMasks:
    """Masks from HQ-SAM, which is loaded on first use."""

    def __init__(self, variant: str, directory: Path | None, device: str | None) -> None:
        self.name = f"HQ-SAM {variant}"
        self.checkpoint = f"hqsam_{variant}"
        self._variant = variant
        self._directory = directory
        self._device = device
        self._model: HQSam | None = None

    def masks(self, image: Image, prompts: Sequence[Box | Points]) -> Masks:
        """See ``Prompted.masks``."""
        if self._model is None:
            from hqsam import build_hqsam
            from hqtrack.build import choose_device

            file = weights.find(self.checkpoint, self._directory)
            model = build_hqsam(self._variant, weights.load(file))
            self._model = model.to(choose_device(self._device))
        return prompted_masks(self._model, image, prompts)


def prompted_masks(model: HQSam, image: Image, prompts: Sequence[Box | Points]) -> Masks:
    """One mask per prompt from HQ-SAM, [N,H,W]; encodes the image once. See ``Prompted.masks``."""
    import torch

    embedding = model.embed(torch.tensor(np.ascontiguousarray(image)))
    masks = [_prompted_mask(model, embedding, prompt) for prompt in prompts]
    return np.array(masks, np.bool_)


def _prompted_mask(
    model: HQSam, embedding: ImageEmbedding, prompt: Box | Points
) -> NDArray[np.bool_]:
    import torch

    if isinstance(prompt, Box):
        prediction = model.predict(embedding, boxes=torch.tensor([prompt], dtype=torch.float64))
    else:
        points = torch.tensor([prompt.places], dtype=torch.float64)
        prediction = model.predict(embedding, points=points, labels=torch.ones(points.shape[:2]))
    found = model.to_image(prediction.logits, embedding) > 0
    mask: NDArray[np.bool_] = found[0, 0].cpu().numpy()
    return mask


def boxes_only(prompts: Iterable[Prompt]) -> list[Box]:
    """The prompts, which have to be boxes or mask files; returns the boxes.

    Raises InputError if there are points.
    """
    prompts = list(prompts)
    if any(isinstance(prompt, Points) for prompt in prompts):
        raise InputError(
            "points need HQ-SAM, whose weights are missing: run `hqtrack weights "
            "download hqsam_vit_b`, or give a box or a mask"
        )
    return [prompt for prompt in prompts if isinstance(prompt, Box)]


def best_variant(directory: Path | None) -> str | None:
    """The best HQ-SAM whose weights are there, None if there is none."""
    for variant in VARIANTS:
        try:
            weights.find(f"hqsam_{variant}", directory)
        except MissingFileError:
            continue
        return variant
    return None


def first_masks(image: Image, targets: Sequence[Target], prompted: Prompted) -> Masks:
    """The masks [N,H,W] of these objects on the frame on which they start, or are corrected.

    Raises InputError, which names the object, if a prompt does not fit the frame or gives an empty
    mask.
    """
    check_prompts(targets, image.shape[1], image.shape[0])
    asked = [target.prompt for target in targets if isinstance(target.prompt, Box | Points)]
    made = iter(prompted.masks(image, asked) if asked else ())
    masks = [_mask(image, target.prompt, made) for target in targets]
    for target, mask in zip(targets, masks, strict=True):
        if not mask.any() and not isinstance(target.prompt, Gone):
            raise InputError(
                f"object {target.name} ({describe(target.prompt)}): {prompted.name} finds nothing "
                "there; give another prompt, or a mask"
            )
    return np.array(masks, np.bool_)


def _mask(image: Image, prompt: Prompt, made: Iterator[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    match prompt:
        case MaskFile(file, label):
            return file.labels == label
        case Gone():
            return np.zeros(image.shape[:2], np.bool_)
        case _:
            return next(made)


def _grabcut(image: Image, box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """The object in the box (left, top, right, bottom, the last two exclusive) of the image.

    Returns the entire box if it fills the image, or if the object would fill less than a fifth of
    it.
    """
    whole = np.zeros(image.shape[:2], np.bool_)
    whole[box[1] : box[3], box[0] : box[2]] = True
    if whole.all():
        return whole
    scale = min(1.0, _GRABCUT_SIDE / max(image.shape[:2]))
    size = [max(2, round(side * scale)) for side in image.shape[1::-1]]
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    marks = cv2.resize(whole.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    marks = np.where(marks > 0, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    models = np.zeros((2, 1, 65))
    cv2.setRNGSeed(0)
    try:
        cv2.grabCut(
            cv2.cvtColor(small, cv2.COLOR_RGB2BGR),
            marks,
            (0, 0, 0, 0),
            models[0],
            models[1],
            _GRABCUT_ROUNDS,
            cv2.GC_INIT_WITH_MASK,
        )
    except cv2.error:  # too few pixels for GrabCut's statistics
        return whole
    found = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    grown = cv2.resize(found, image.shape[1::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    mask = grown & whole
    return mask if mask.sum() > _LEAST_FILLED * whole.sum() else whole
