"""Exports as text: a table of boxes, and the format of MOTS."""

import csv
import io
from collections.abc import Iterator
from itertools import count

from pycocotools import mask as run_lengths  # type: ignore[import-untyped]

from hqtrack.errors import InputError
from hqtrack.exports.masks import label_map
from hqtrack.exports.stored import StoredRun
from hqtrack.masks import label_masks
from hqtrack.video.run_lengths import encode_mask

COLUMNS = ("frame", "file", "object", "name", "x", "y", "width", "height", "area", "confidence")

_PEDESTRIAN = 2
_MOST_INSTANCES = 999


def box_table(run: StoredRun) -> Iterator[str]:
    """A CSV file, line by line: a line per frame and object that has started.

    x and y are the top left pixel of the box, counted from 0, all lengths are in pixels. The box of
    an object that is not seen is empty, and its area 0.
    """
    names = {each.number: each.name for each in run.objects}
    yield _line(COLUMNS)
    for record in run.records():
        for found in record.objects:
            box: list[object] = ["", "", "", ""]
            if found.counts is not None:
                mask = {"size": list(record.size), "counts": found.counts}
                box = [int(number) for number in run_lengths.toBbox(mask)]
            first = (record.number, record.name, found.number, names.get(found.number, ""))
            yield _line([*first, *box, found.area, found.confidence])


def mots(run: StoredRun) -> Iterator[str]:
    """A file of MOTS, line by line: time, identity, class, height, width, run lengths.

    Time counts the frames from 1, as in MOTSChallenge. All objects are of class 2, of which the
    object k, counted from 1, has identity 2000 + k. Masks do not overlap: the later object wins.
    """
    if len(run.objects) > _MOST_INSTANCES:
        raise InputError(f"MOTS has room for {_MOST_INSTANCES} objects, not {len(run.objects)}")
    places = {each.number: place for place, each in enumerate(run.objects, start=1)}
    height, width = run.size
    for time, record in zip(count(1), run.records(), strict=False):
        seen = [found.number for found in record.objects if found.counts is not None]
        masks = label_masks(label_map(record), seen)
        for number, mask in zip(seen, masks, strict=True):
            if mask.any():
                identity = 1000 * _PEDESTRIAN + places[number]
                yield f"{time} {identity} {_PEDESTRIAN} {height} {width} {encode_mask(mask)}\n"


def _line(cells: object) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)  # type: ignore[arg-type]
    return text.getvalue()
