"""The seam to what makes masks from boxes and clicks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from hqtrack.app.project import Box, Click
from hqtrack.presets import LIGHT_REFINER
from hqtrack.runs.first_masks import best_variant, first_seen
from hqtrack.types import Image

if TYPE_CHECKING:  # it imports torch
    from hqtrack.refiner import MaskRefiner


class Prompter(Protocol):
    """Makes a mask from a box and clicks."""

    @property
    def name(self) -> str:
        """The name of the method."""

    def prepare(self) -> None:
        """Load what takes a while, so that the first mask comes as soon as the others."""

    def segment(self, image: Image, box: Box | None, clicks: Sequence[Click]) -> NDArray[np.bool_]:
        """The mask [H,W] of what is in the box and at the clicks; at least one is given.

        Raises InputError if they cannot be used.
        """


class Refiner:
    """HQ-SAM, which is loaded on first use; for several threads."""

    def __init__(self, name: str, build: Callable[[], MaskRefiner]) -> None:
        """``build``: ``hqtrack.build_refiner``, for a network of this name."""
        self.name = name
        self._build = build
        self._refiner: MaskRefiner | None = None
        self._loading = threading.Lock()

    def prepare(self) -> None:
        """See ``Prompter.prepare``; it also computes once, because the first time is slower."""
        self.segment(np.zeros((64, 64, 3), np.uint8), None, [Click(32, 32, True)])

    def segment(self, image: Image, box: Box | None, clicks: Sequence[Click]) -> NDArray[np.bool_]:
        """See ``Prompter.segment``."""
        boxes = None if box is None else np.array([box], np.float64)
        points = labels = None
        if clicks:
            points = np.array([[(click.x, click.y) for click in clicks]], np.float64)
            labels = np.array([[int(click.inside) for click in clicks]])
        found = self._loaded().segment(image, boxes=boxes, points=points, labels=labels)
        return first_seen(found.masks)[0]

    def _loaded(self) -> MaskRefiner:
        with self._loading:
            if self._refiner is None:
                self._refiner = self._build()
            return self._refiner


def choose_prompter(directory: Path | None = None, device: str | None = None) -> Prompter:
    """The best released HQ-SAM whose weights are in a folder, else the light one."""
    variant = best_variant(directory)

    def build() -> MaskRefiner:
        from hqtrack.build import build_refiner
        from hqtrack.compute.threads import limit_threads

        limit_threads()
        return build_refiner(variant or LIGHT_REFINER, device, directory if variant else None)

    return Refiner(f"HQ-SAM {variant or LIGHT_REFINER}", build)
