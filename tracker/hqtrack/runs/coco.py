"""The masks of a run as a COCO data set, with one category per object."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from pycocotools import mask as run_lengths  # type: ignore[import-untyped]

from hqtrack.runs.journal import FrameRecord


class Numbered(Protocol):
    """An object with its label in the masks and its name, such as a ``Target``."""

    @property
    def number(self) -> int:
        """Its number in the annotations."""

    @property
    def name(self) -> str:
        """The name of its category."""


def coco_parts(
    targets: Sequence[Numbered], records: Callable[[], Iterable[FrameRecord]]
) -> Iterator[str]:
    """The file in parts, so that memory does not grow with the video.

    Each call of ``records`` iterates over all frames again. The id of an image is the number of its
    frame, the id of a category the number of its object. An annotation has the object's mask in
    COCO's run lengths, its area, its box [x, y, width, height], its number as track_id, and the
    confidence as score. A frame without a visible object has no annotation.
    """
    categories = [{"id": target.number, "name": target.name} for target in targets]
    yield f'{{"categories": {json.dumps(categories)},\n"images": [\n'
    yield from _joined(_image(record) for record in records())
    yield '],\n"annotations": [\n'
    yield from _joined(_annotations(records()))
    yield "]}\n"


def _joined(entries: Iterable[dict[str, Any]]) -> Iterator[str]:
    separator = ""
    for entry in entries:
        yield separator + json.dumps(entry)
        separator = ",\n"
    yield "\n"


def _image(record: FrameRecord) -> dict[str, Any]:
    height, width = record.size
    return {"id": record.number, "file_name": record.name, "width": width, "height": height}


def _annotations(records: Iterable[FrameRecord]) -> Iterator[dict[str, Any]]:
    number = 0
    for record in records:
        for seen in record.objects:
            if seen.counts is None:
                continue
            number += 1
            mask = {"size": list(record.size), "counts": seen.counts}
            yield {
                "id": number,
                "image_id": record.number,
                "category_id": seen.number,
                "track_id": seen.number,
                "segmentation": mask,
                "area": seen.area,
                "bbox": run_lengths.toBbox(mask).tolist(),
                "iscrowd": 0,
                "score": seen.confidence,
            }
