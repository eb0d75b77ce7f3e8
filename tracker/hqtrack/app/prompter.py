"""The seam to what makes masks from boxes and clicks."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hqtrack.app.project import Box, Click
from hqtrack.errors import InputError
from hqtrack.runs import first_masks
from hqtrack.runs.targets import Box as TargetBox
from hqtrack.types import Image


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

        Raises InputError for clicks if it takes none.
        """


class Refiner:
    """HQ-SAM, which is loaded on first use and keeps the embedding of the last image."""

    takes_clicks = True

    def __init__(self, name: str, build: Callable[[], Any]) -> None:
        """``build``: ``hqtrack.build_refiner``, for a network of this name."""
        self.name = name
        self._build = build
        self._refiner: Any = None

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


class BoxesOnly:
    """GrabCut, for a machine without HQ-SAM: it knows no clicks."""

    name = "GrabCut"
    takes_clicks = False

    def segment(self, image: Image, box: Box | None, clicks: Sequence[Click]) -> NDArray[np.bool_]:
        """See ``Prompter.segment``."""
        if clicks or box is None:
            raise InputError(
                "clicks need HQ-SAM, whose weights are missing (hqtrack weights download "
                "hqsam_vit_b): draw a box, or use brush and eraser"
            )
        mask: NDArray[np.bool_] = first_masks.GrabCut().masks(image, [TargetBox(*box)])[0]
        return mask


def choose_prompter(device: str | None = None) -> Prompter:
    """HQ-SAM if this hqtrack has one that ships with its weights, else GrabCut."""
    build = importlib.import_module("hqtrack.build")
    if hasattr(build, "build_refiner"):
        return Refiner("HQ-SAM", lambda: build.build_refiner(device=device))
    return BoxesOnly()
