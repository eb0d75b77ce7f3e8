"""The seam to what makes masks from boxes and clicks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from hqtrack.app.project import Box, Click
from hqtrack.types import Image

if TYPE_CHECKING:  # it imports torch
    from hqtrack.refiner import MaskRefiner


class Prompter(Protocol):
    """Makes a mask from a box and clicks."""

    @property
    def name(self) -> str:
        """The name of the method."""

    @property
    def takes_clicks(self) -> bool:
        """Whether it makes masks from clicks, too."""

    def segment(self, image: Image, box: Box | None, clicks: Sequence[Click]) -> NDArray[np.bool_]:
        """The mask [H,W] of what is in the box and at the clicks; at least one is given.

        Raises InputError if they cannot be used.
        """


class Refiner:
    """HQ-SAM, which is loaded on first use."""

    takes_clicks = True

    def __init__(self, name: str, build: Callable[[], MaskRefiner]) -> None:
        """``build``: ``hqtrack.build_refiner``, for a network of this name."""
        self.name = name
        self._build = build
        self._refiner: MaskRefiner | None = None

    def segment(self, image: Image, box: Box | None, clicks: Sequence[Click]) -> NDArray[np.bool_]:
        """See ``Prompter.segment``."""
        if self._refiner is None:
            self._refiner = self._build()
        boxes = None if box is None else np.array([box], np.float64)
        points = labels = None
        if clicks:
            points = np.array([[(click.x, click.y) for click in clicks]], np.float64)
            labels = np.array([[int(click.inside) for click in clicks]])
        found = self._refiner.segment(image, boxes=boxes, points=points, labels=labels)
        mask: NDArray[np.bool_] = found.masks[0, 0]
        return mask


def choose_prompter(device: str | None = None) -> Prompter:
    """The HQ-SAM that ships with its weights."""

    def build() -> MaskRefiner:
        from hqtrack.build import build_refiner

        return build_refiner(device=device)

    return Refiner("HQ-SAM", build)
