"""First masks of objects: from files, or from boxes and points with HQ-SAM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from hqtrack import weights
from hqtrack.errors import InputError, MissingFileError
from hqtrack.runs.prompt_checks import check_prompts
from hqtrack.runs.targets import Box, Gone, MaskFile, Points, Prompt, Target, describe
from hqtrack.types import Image, Masks

if TYPE_CHECKING:  # it imports torch
    from hqtrack.refiner import MaskRefiner

VARIANTS = ("vit_h", "vit_l", "vit_b", "vit_tiny")
"""The released variants of HQ-SAM, the best first."""


class Prompted(Protocol):
    """Makes masks from boxes and points."""

    @property
    def name(self) -> str:
        """The name of the method."""

    def masks(self, image: Image, prompts: Sequence[Box | Points]) -> Masks:
        """One mask per prompt, [N,H,W]; all points and a part of every box must be in the image."""


class RefinerMasks:
    """Masks from HQ-SAM, which is loaded on first use."""

    def __init__(self, variant: str, directory: Path | None, device: str | None) -> None:
        self.name = f"HQ-SAM {variant}"
        self._variant = variant
        self._directory = directory
        self._device = device
        self._refiner: MaskRefiner | None = None

    @property
    def file(self) -> Path:
        """Its weights; raises MissingFileError if they are missing."""
        return weights.find(f"hqsam_{self._variant}", self._directory)

    def masks(self, image: Image, prompts: Sequence[Box | Points]) -> Masks:
        """See ``Prompted.masks``."""
        if self._refiner is None:
            from hqtrack.build import build_refiner

            self._refiner = build_refiner(self._variant, self._device, self._directory)
        return prompted_masks(self._refiner, image, prompts)


def prompted_masks(refiner: MaskRefiner, image: Image, prompts: Sequence[Box | Points]) -> Masks:
    """One mask per prompt, [N,H,W]: the best-scored that is not empty; see ``Prompted.masks``."""
    masks = np.zeros((len(prompts), *image.shape[:2]), np.bool_)
    boxes = {n: prompt for n, prompt in enumerate(prompts) if isinstance(prompt, Box)}
    clicks = {n: prompt for n, prompt in enumerate(prompts) if isinstance(prompt, Points)}
    if boxes:
        masks[list(boxes)] = first_seen(refiner.segment(image, list(boxes.values())).masks)
    if clicks:
        most = max(len(prompt.places) for prompt in clicks.values())
        points = np.zeros((len(clicks), most, 2))
        labels = np.full((len(clicks), most), -1)
        for row, prompt in enumerate(clicks.values()):
            points[row, : len(prompt.places)] = prompt.places
            labels[row, : len(prompt.places)] = 1
            labels[row, list(prompt.beside)] = 0
        found = refiner.segment(image, points=points, labels=labels)
        masks[list(clicks)] = first_seen(found.masks)
    return masks


def first_seen(candidates: Masks) -> Masks:
    """Of candidates [N,K,H,W] the first of each object that is not empty, [N,H,W]."""
    first = candidates.any(axis=(2, 3)).argmax(axis=1)
    seen: Masks = candidates[np.arange(len(candidates)), first]
    return seen


def best_variant(directory: Path | None) -> str | None:
    """The best released HQ-SAM whose weights are there, None if there is none."""
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
