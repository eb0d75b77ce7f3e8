"""The journal of a run: a line that describes the run, then a line per finished frame."""

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hqtrack.errors import InputError
from hqtrack.files import journal_lines
from hqtrack.runs.identity import Identity
from hqtrack.types import Masks
from hqtrack.video.run_lengths import decode_mask

JOURNAL = "frames.jsonl"
"""Its name in the folder of a run."""


@dataclass(frozen=True)
class RunDescription:
    """Everything that determines the masks of a run: equal descriptions give equal masks.

    video: the source's address. input: its identity. start, every: the frames. tracker: preset and
    networks. computation: device and data type. weights: a checksum of each file. first_masks: the
    method that makes them. objects: a line for each, see ``hqtrack.runs.targets.describe``.
    """

    video: str
    input: Identity
    start: int
    every: int
    tracker: str
    computation: str
    weights: dict[str, str]
    first_masks: str
    objects: tuple[str, ...]


OF_THE_INPUT = ("video", "input")
"""The fields of a description that may change while the frames stay the same."""

_OF_EVERY_VERSION = {"video", "start", "every", "tracker", "first_masks", "objects"}
"""The fields by which the journals of earlier versions are known, too."""


class ObjectRecord(NamedTuple):
    """An object on a frame: area in pixels, confidence, run lengths in COCO's text, if any."""

    number: int
    area: int
    confidence: float
    counts: str | None


class FrameRecord(NamedTuple):
    """A finished frame; size is (height, width), seconds the time of tracking it.

    image: the digest of the frame's pixels, see ``hqtrack.runs.identity``.
    damaged: see ``hqtrack.video.streams.Frame``.
    """

    number: int
    name: str
    size: tuple[int, int]
    seconds: float
    objects: tuple[ObjectRecord, ...]
    image: str = ""
    damaged: bool = False

    @property
    def stem(self) -> str:
        """The name of the label map, without the suffix."""
        return Path(self.name).stem

    def masks(self) -> Masks:
        """The masks [N,H,W] of the objects; an object that is not seen has an empty one."""
        masks = np.zeros((len(self.objects), *self.size), np.bool_)
        for mask, found in zip(masks, self.objects, strict=True):
            if found.counts is not None:
                mask[:] = decode_mask(found.counts, *self.size)
        return masks


def parse_record(value: Any) -> FrameRecord | None:
    """The frame in a line of a journal; None if it is none."""
    try:
        number, name, (height, width), seconds, objects, image, *rest = value
        records = tuple(ObjectRecord(*fields) for fields in objects)
        good = isinstance(number, int) and isinstance(name, str) and Path(name).name == name
        good = good and all(isinstance(found.number, int) for found in records)
        good = good and min(height, width) > 0 and seconds >= 0
        damaged = rest == [True]
    except (ValueError, TypeError):
        return None
    record = FrameRecord(number, name, (height, width), seconds, records, image, damaged)
    return record if good else None


def stored_records(folder: Path) -> Iterator[FrameRecord]:
    """The finished frames of a run in order, read one by one, without opening it for writing."""
    for record, _ in records(folder / JOURNAL):
        yield record


def records(journal: Path) -> Iterator[tuple[FrameRecord, int]]:
    """The frames of a journal, and where their lines end, up to the first that is not good."""
    last = 0
    for line in islice(journal_lines(journal), 1, None):
        record = parse_record(line.value)
        if record is None or record.number <= last:
            return
        last = record.number
        yield record, line.end


def label_maps(journal: Path, folder: Path) -> Iterator[Path]:
    """The label maps that a journal names, also of an earlier version or after damage."""
    for line in journal_lines(journal, skip=True):
        match line.value:
            case [int(), str(name), *_] if Path(name).name == name:
                yield folder / f"{Path(name).stem}.png"


def described(journal: Path, line: bytes) -> dict[str, Any]:
    """The description in the first line of a journal, perhaps one of an earlier version.

    Raises InputError if the line does not belong to a journal.
    """
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        before: dict[str, Any] = json.loads(line)["run"]
        if before.keys() >= _OF_EVERY_VERSION:
            return before
    raise InputError(f"{journal} is not the journal of a run: give another --output")


def changes(before: dict[str, Any], now: dict[str, Any], free: Iterable[str] = ()) -> list[str]:
    """The fields, but for the ``free`` ones and those of the input, that differ, in words."""
    return [
        f"{name}: {_change(before.get(name), value)}"
        for name, value in now.items()
        if name not in {*OF_THE_INPUT, *free} and before.get(name) != value
    ]


def _change(before: Any, now: Any) -> str:
    """Two values of a field in words; of lists, only what they do not share."""
    if isinstance(before, list) and isinstance(now, list):
        before, now = ([x for x in a if x not in b] for a, b in ((before, now), (now, before)))
        if not before and not now:
            return "in another order"
    words = [
        ", ".join(map(str, each)) if isinstance(each, list) else str(each) for each in (before, now)
    ]
    return f"{words[0] or 'none'} then, {words[1] or 'none'} now"
