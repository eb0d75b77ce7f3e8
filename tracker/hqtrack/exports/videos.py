"""Exports for YouTube-VIS and for DAVIS and YouTube-VOS: one video with its objects over time."""

import json
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from pycocotools import mask as run_lengths  # type: ignore[import-untyped]

from hqtrack.errors import InputError
from hqtrack.exports.masks import label_map
from hqtrack.exports.stored import StoredRun
from hqtrack.runs.journal import FrameRecord, ObjectRecord

_VOID = 255
"""A pixel of this value does not count in DAVIS."""


def youtube_vis(run: StoredRun) -> Iterator[str]:
    """A JSON file of YouTube-VIS in parts: one video, and a category and a track per object.

    Where an object is not seen, its segmentation, box and area are null. The journal is read once
    per object, so that memory does not grow with their number.
    """
    height, width = run.size
    names = [record.name for record in run.records()]
    video = {"id": 1, "file_names": names, "length": len(names), "height": height, "width": width}
    categories = [{"id": each.number, "name": each.name} for each in run.objects]
    yield f'{{"videos": [{json.dumps(video)}],\n"categories": {json.dumps(categories)},\n'
    yield '"annotations": ['
    separator = "\n"
    for place, each in enumerate(run.objects, start=1):
        track = [_seen(record, each.number) for record in run.records()]
        content: dict[str, Any] = {
            "id": place,
            "track_id": each.number,
            "video_id": 1,
            "category_id": each.number,
            "iscrowd": 0,
            "length": len(names),
            "height": height,
            "width": width,
            "segmentations": [_segmentation(found, run.size) for found in track],
            "bboxes": [_box(found, run.size) for found in track],
            "areas": [None if found is None else found.area for found in track],
        }
        yield separator + json.dumps(content)
        separator = ",\n"
    yield "]}\n"


def write_davis(run: StoredRun, folder: Path) -> None:
    """Indexed PNGs in ``Annotations/NAME``, and ``meta.json`` as YouTube-VOS has it.

    A PNG has the name of its image; those of a video are 00000, 00001, ... Object k of the run,
    counted from 1, has label k. Raises InputError for more objects than have room beside void, 255.
    """
    if len(run.objects) >= _VOID:
        raise InputError(
            f"PNGs of DAVIS have room for {_VOID - 1} objects, not {len(run.objects)}: export coco"
        )
    annotations = folder / "Annotations" / run.name
    annotations.mkdir(parents=True)
    labels = np.zeros(max((each.number for each in run.objects), default=0) + 1, np.uint8)
    labels[[each.number for each in run.objects]] = range(1, len(run.objects) + 1)
    frames: dict[int, list[str]] = {each.number: [] for each in run.objects}
    for place, record in enumerate(run.records()):
        stem = Path(record.name).stem if Path(record.name).suffix else f"{place:05d}"
        numbers = label_map(record)
        (annotations / f"{stem}.png").write_bytes(_indexed(labels[numbers]))
        for number in np.unique(numbers[numbers > 0]).tolist():
            frames[number].append(stem)
    objects = {
        str(label): {"category": each.name, "frames": frames[each.number]}
        for label, each in enumerate(run.objects, start=1)
    }
    content = {"videos": {run.name: {"objects": objects}}}
    (folder / "meta.json").write_text(json.dumps(content) + "\n", encoding="utf-8")


def davis_palette() -> list[int]:
    """The colours of DAVIS and PASCAL VOC, [256*3]: the bits of a label, spread over red, green
    and blue from the highest bit on."""
    colours = np.zeros((256, 3), np.uint8)
    for label in range(256):
        for bit in range(8):
            colours[label, bit % 3] |= (label >> bit & 1) << (7 - bit // 3)
    palette: list[int] = colours.ravel().tolist()
    return palette


def _indexed(labels: NDArray[np.uint8]) -> bytes:
    picture = PillowImage.fromarray(labels, mode="P")
    picture.putpalette(davis_palette())
    encoded = BytesIO()
    picture.save(encoded, "PNG")
    return encoded.getvalue()


def _seen(record: FrameRecord, number: int) -> ObjectRecord | None:
    """The object on a frame; None where it is not seen."""
    return next((f for f in record.objects if f.number == number and f.counts is not None), None)


def _segmentation(found: ObjectRecord | None, size: Iterable[int]) -> dict[str, Any] | None:
    return None if found is None else {"size": list(size), "counts": found.counts}


def _box(found: ObjectRecord | None, size: Iterable[int]) -> list[float] | None:
    segmentation = _segmentation(found, size)
    return None if segmentation is None else run_lengths.toBbox(segmentation).tolist()
