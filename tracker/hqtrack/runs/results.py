"""The folder of a run: label maps, the journal, and the files made from the journal.

====================  ===================================================================
file                  what
====================  ===================================================================
masks/NAME.png        label map of a frame, indexed, 16-bit from 255 on
frames.jsonl          the journal: a description of the run, then a line per finished frame
masks.json            all masks as run lengths, a COCO data set
summary.json          per object frames seen, mean area, mean confidence; see hqtrack.runs.summary
overlay.mp4           masks and object numbers on the frames, if requested
====================  ===================================================================

A frame is finished when its line is complete. The line is written after the label map. So a run can
be killed at any time, and it resumes after the last finished frame.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hqtrack.errors import InputError
from hqtrack.files import Journal, first_line, journal_lines, replacing
from hqtrack.masks import label_masks, masks_to_labels
from hqtrack.runs.follower import Followed
from hqtrack.types import Masks
from hqtrack.video.mask_files import read_numbers, write_labels
from hqtrack.video.run_lengths import encode_mask


@dataclass(frozen=True)
class RunDescription:
    """Everything that determines the masks of a run: equal descriptions give equal masks.

    video: the source's address. start, every: the frames. tracker: preset and networks.
    first_masks: the method that makes them. objects: a line for each, see
    ``hqtrack.runs.targets.describe``.
    """

    video: str
    start: int
    every: int
    tracker: str
    first_masks: str
    objects: tuple[str, ...]


class ObjectRecord(NamedTuple):
    """An object on a frame: area in pixels, confidence, run lengths in COCO's text, if any."""

    number: int
    area: int
    confidence: float
    counts: str | None


class FrameRecord(NamedTuple):
    """A finished frame; size is (height, width), seconds the time of tracking it."""

    number: int
    name: str
    size: tuple[int, int]
    seconds: float
    objects: tuple[ObjectRecord, ...]


class Results:
    """Saves finished frames in a folder; a context manager, for one process at a time."""

    def __init__(self, folder: Path, description: RunDescription) -> None:
        """Resume an equal run, or start a new one.

        Raises InputError if the folder contains another run or is not writable.
        """
        self.folder = folder
        self.last = 0
        """Number of the last finished frame, 0 before the first."""
        self.count = 0
        """How many frames are finished."""
        self._path = folder / "frames.jsonl"
        self._masks = folder / "masks"
        try:
            self._masks.mkdir(parents=True, exist_ok=True)
            if not self._path.exists() and any(self._masks.iterdir()):
                raise InputError(
                    f"{self._masks} contains files that are not from a run: give another --output"
                )
            self._journal = self._open({"run": json.loads(json.dumps(asdict(description)))})
        except OSError as error:
            raise InputError(
                f"cannot write to {folder} ({error.strerror}): give another --output"
            ) from error

    def write(self, followed: Followed, seconds: float) -> None:
        """Save a frame: its label map first, then its line; ``seconds`` is its tracking time."""
        frame, masks = followed.frame, followed.masks
        numbering = np.array([0, *(target.number for target in followed.targets)])
        labels = numbering[masks_to_labels(masks)]
        write_labels(self._labels_path(frame.stem), labels)
        areas = [int(np.count_nonzero(mask)) for mask in masks]
        counts = [
            encode_mask(mask) if area else None for mask, area in zip(masks, areas, strict=True)
        ]
        objects = tuple(
            ObjectRecord(target.number, area, round(float(confidence), 4), count)
            for target, area, confidence, count in zip(
                followed.targets, areas, followed.confidence, counts, strict=True
            )
        )
        height, width = frame.image.shape[:2]
        record = FrameRecord(frame.number, frame.name, (height, width), round(seconds, 4), objects)
        self._journal.append(record)
        self.last = frame.number
        self.count += 1

    def stored_masks(self, stem: str, numbers: list[int]) -> Masks:
        """The saved masks [N,H,W] of these objects on a finished frame."""
        return label_masks(read_numbers(self._labels_path(stem)), numbers)

    def records(self) -> Iterator[FrameRecord]:
        """The finished frames in order, read one by one."""
        for line in islice(journal_lines(self._path), 1, None):
            yield _record(line.value)

    def write_json(self, name: str, parts: Iterable[str]) -> None:
        """Write a file of these parts atomically: an old file stays until the new is complete."""
        with (
            replacing(self.folder / name) as part,
            part.open("w", encoding="utf-8") as file,
        ):
            file.writelines(parts)

    def __enter__(self) -> "Results":
        """The results themselves."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the journal."""
        self._journal.close()

    def _labels_path(self, stem: str) -> Path:
        return self._masks / f"{stem}.png"

    def _open(self, heading: dict[str, Any]) -> Journal:
        """The journal, truncated after its last complete line, for appending."""
        first = first_line(self._path)
        different = [] if first is None else self._differences(heading["run"], first)
        end = 0
        for line in islice(journal_lines(self._path), 1, None):
            self.last = _record(line.value).number
            self.count += 1
            end = line.end
        if self.count and different:
            raise InputError(
                f"{self.folder} contains another run (other {', '.join(different)}): give another "
                "--output, or delete it"
            )
        journal = Journal(self._path, end)
        if not self.count:
            journal.append(heading)
        return journal

    def _differences(self, run: dict[str, Any], line: bytes) -> list[str]:
        """The fields that differ in the first line of a journal.

        Raises InputError if the line does not belong to a journal.
        """
        try:
            before = json.loads(line)["run"]
            return [name for name, value in run.items() if before[name] != value]
        except (ValueError, TypeError, KeyError):
            raise InputError(
                f"{self._path} is not the journal of a run: give another --output"
            ) from None


def _record(value: Any) -> FrameRecord:
    number, name, (height, width), seconds, objects = value
    records = tuple(ObjectRecord(*fields) for fields in objects)
    return FrameRecord(number, name, (height, width), seconds, records)
