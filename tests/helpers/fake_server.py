"""The server side of TraX without a client: requests that are there, and answers that are kept."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import trax
from trax.image import FileImage

SIZE = (20, 30)


def box(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros(SIZE, np.bool_)
    mask[top:bottom, left:right] = True
    return mask


EMPTY = box(0, 0, 0, 0)
ONE, TWO, THREE = box(2, 3, 8, 9), box(10, 4, 20, 12), box(18, 10, 25, 18)
IMAGE = np.zeros((*SIZE, 3), np.uint8)


class FakeServer:
    """Hands out requests and keeps the answers."""

    def __init__(self, *requests: Any) -> None:
        self._requests = list(requests)
        self.answers: list[list[tuple[Any, dict[str, float]]]] = []
        self.reason: str | None = None

    def wait(self) -> Any:
        if not self._requests:
            raise trax.TraxException("nobody there")
        return self._requests.pop(0)

    def status(self, objects: list[Any]) -> None:
        self.answers.append(objects)

    def quit(self, reason: str | None = None) -> None:
        self.reason = reason


def request(kind: str, image: Path | None = None, *masks: np.ndarray) -> Any:
    objects = [(trax.Mask.create(mask.astype(np.uint8)), {}) for mask in masks]
    channels = image and {"color": FileImage.create(str(image))}
    return SimpleNamespace(type=kind, image=channels, objects=objects or None)


def answered(regions: list[tuple[Any, Any]]) -> list[np.ndarray]:
    """The masks of an answer, in frames of SIZE."""
    masks = []
    for region, _ in regions:
        mask = np.zeros(SIZE, np.bool_)
        (x, y), pixels = region.offset(), region.array() > 0
        mask[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
        masks.append(mask)
    return masks
