"""The server side of TraX without a client: requests that are there, and answers that are kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hqtrack.regions import Region
from hqtrack.vot.region_text import format_region, parse_region
from hqtrack.vot.server import Answer, Asked, Request
from hqtrack.vot.wire import ClientGone

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

    def __init__(self, *requests: Request) -> None:
        self._requests = list(requests)
        self.answers: list[list[Answer]] = []

    def wait(self) -> Request:
        if not self._requests:
            raise ClientGone("nobody there")
        return self._requests.pop(0)

    def answer(self, objects: Sequence[Answer]) -> None:
        self.answers.append(list(objects))


def request(kind: str, image: Path | None = None, *masks: np.ndarray) -> Request:
    regions = [format_region(Region(mask.astype(np.uint8), 0, 0)).encode() for mask in masks]
    return Request(Asked(kind), image, regions)


def given(answers: list[Answer]) -> list[np.ndarray]:
    """The masks of an answer, in frames of SIZE."""
    regions = [parse_region(answer.region.encode(), 0) for answer in answers]
    return [region.place(*SIZE) for region in regions]


def answered(regions: list[tuple[Any, Any]]) -> list[np.ndarray]:
    """The masks that the toolkit's client got, in frames of SIZE."""
    masks = []
    for region, _ in regions:
        mask = np.zeros(SIZE, np.bool_)
        (x, y), pixels = region.offset(), region.array() > 0
        mask[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
        masks.append(mask)
    return masks
