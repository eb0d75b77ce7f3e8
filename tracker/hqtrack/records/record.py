"""Records on disk of what a tracker did on each frame, for ``hqtrack inspect``.

====================  ===================================================================
file                  what
====================  ===================================================================
frames/NUMBER.jpg     a frame, at most 768 pixels wide or high
record.jsonl          the heading, then a line per frame: masks and numbers of its objects
====================  ===================================================================

A frame counts only when its line is complete, so a record can be interrupted and resumed at any
time. Numbers (area, IoU, J, F) describe the masks at full size; the stored masks have the size of
the picture.
"""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hqtrack.errors import InputError, MissingFileError
from hqtrack.files import Journal, journal_lines
from hqtrack.tracker import Step
from hqtrack.types import Image, Masks, Scores
from hqtrack.video.images import encode_jpeg
from hqtrack.video.run_lengths import encode_mask

_JOURNAL = "record.jsonl"
_LONG_EDGE = 768
_QUALITY = 75


class Origin(StrEnum):
    """The source of a reported mask."""

    GIVEN = "given"
    TRACKED = "tracker"
    COARSE = "VMOS"
    REFINED = "HQ-SAM"
    ABSENT = "not seen"


@dataclass(frozen=True)
class Heading:
    """The subject of a record: video or sequence, tracker, and objects by number and name."""

    title: str
    tracker: str
    objects: dict[int, str]


class Truth(NamedTuple):
    """The annotated masks [N,H,W] of a frame, and J [N] and F [N] of the reported ones."""

    masks: Masks
    region: Scores
    boundary: Scores


class Observed(NamedTuple):
    """A frame and the tracker's report on it.

    ``number`` counts from 1 over the entire video; ``name`` is the file's name; ``objects`` are the
    numbers of the objects that have started, with their masks [N,H,W] and confidence [N]. On the
    first frame with an object, its mask counts as given, and so do those of the objects in
    ``given``. ``step`` describes the first objects of the frame, which were tracked.
    """

    number: int
    name: str
    image: Image
    objects: tuple[int, ...]
    masks: Masks
    confidence: Scores
    step: Step | None = None
    truth: Truth | None = None
    given: tuple[int, ...] = ()


class RecordedObject(NamedTuple):
    """An object on a frame.

    Area is in pixels. Masks are run lengths in COCO's text format. Confidence, IoU of the coarse
    and the refined mask, J and F are in [0, 1]. Missing values are None.
    """

    number: int
    origin: Origin
    area: int
    confidence: float
    chosen: str
    coarse: str | None = None
    refined: str | None = None
    truth: str | None = None
    iou: float | None = None
    region: float | None = None
    boundary: float | None = None


class RecordedFrame(NamedTuple):
    """A frame: its number and file name, the (height, width) of its masks, memory, objects.

    ``memory`` lists for each group of objects the frames that were read: those in long-term memory,
    then the one in short-term memory. Frame 0 is the first frame with an object.
    """

    number: int
    name: str
    size: tuple[int, int]
    memory: tuple[tuple[tuple[int, ...], int], ...]
    objects: tuple[RecordedObject, ...]


class Recorder:
    """Writes a record frame by frame; a context manager. Memory does not grow with the video."""

    def __init__(self, folder: Path, heading: Heading, up_to: int = 0) -> None:
        """Start a new record, or continue one of the same heading after frame ``up_to`` at most.

        Raises InputError if the folder is not writable.
        """
        self.folder = folder
        self.last = 0
        """Number of the last recorded frame, 0 before the first."""
        self._known: set[int] = set()
        try:
            (folder / "frames").mkdir(parents=True, exist_ok=True)
            self._journal = self._open(dataclasses.asdict(heading), up_to)
        except OSError as error:
            raise InputError(
                f"cannot write to {folder} ({error.strerror}): record into another folder"
            ) from error

    def write(self, observed: Observed) -> None:
        """Record a frame; call it in the order of the frames."""
        height, width = observed.image.shape[:2]
        scale = min(1.0, _LONG_EDGE / max(height, width))
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        picture = observed.image
        if scale < 1:
            small = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
            picture = small.astype(np.uint8, copy=False)
        picture_path(self.folder, observed.number).write_bytes(encode_jpeg(picture, _QUALITY))
        memory = () if observed.step is None else observed.step.memory
        objects = tuple(self._object(observed, index, size) for index in range(len(observed.masks)))
        frame = RecordedFrame(observed.number, observed.name, size, memory, objects)
        self._journal.append(frame)
        self._known.update(observed.objects)
        self.last = observed.number

    def __enter__(self) -> "Recorder":
        """The recorder itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the journal."""
        self._journal.close()

    def _open(self, heading: dict[str, Any], up_to: int) -> Journal:
        """The journal with its good lines up to that frame; empty if its heading is another one."""
        path, end = self.folder / _JOURNAL, 0
        first = next(journal_lines(path), None)
        if up_to and first is not None and first.value == json.loads(json.dumps(heading)):
            end = first.end
            for frame, line_end in _frames(path):
                if frame.number > up_to:
                    break
                self.last = frame.number
                self._known.update(found.number for found in frame.objects)
                end = line_end
        journal = Journal(path, end)
        if not end:
            journal.append(heading)
        return journal

    def _object(self, observed: Observed, index: int, size: tuple[int, int]) -> RecordedObject:
        number, mask, truth = observed.objects[index], observed.masks[index], observed.truth
        given = number not in self._known or number in observed.given
        step = None if given else observed.step
        area = int(np.count_nonzero(mask))
        recorded = RecordedObject(
            number=number,
            origin=Origin.GIVEN if given else mask_origin(step, index, area > 0),
            area=area,
            confidence=_rounded(observed.confidence[index]),
            chosen=_encode(mask, size),
        )
        if step is not None:
            recorded = recorded._replace(coarse=_encode(step.coarse[index], size))
            if step.refined is not None and step.selection is not None:
                recorded = recorded._replace(
                    refined=_encode(step.refined[index], size),
                    # the IoU of two empty masks is 1, which would mislead
                    iou=_rounded(step.selection.iou[index]) if step.coarse[index].any() else None,
                )
        if truth is not None:
            recorded = recorded._replace(
                region=_rounded(truth.region[index]),
                boundary=_rounded(truth.boundary[index]),
                truth=_encode(truth.masks[index], size),
            )
        return recorded


def mask_origin(step: Step | None, index: int, seen: bool) -> Origin:
    """The source of the mask of object ``index``; ``seen``: whether the mask has a pixel."""
    if not seen:
        return Origin.ABSENT
    if step is None:
        return Origin.TRACKED
    if step.selection is not None and step.selection.refined[index]:
        return Origin.REFINED
    return Origin.COARSE


def picture_path(folder: Path, number: int) -> Path:
    """The file of a frame's picture."""
    return folder / "frames" / f"{number:08d}.jpg"


def read_heading(folder: Path) -> Heading:
    """The heading of a record.

    Raises MissingFileError if there is no record, InputError if it is broken.
    """
    try:
        with (folder / _JOURNAL).open("rb") as journal:
            fields = json.loads(journal.readline())
        objects = {int(number): str(name) for number, name in fields["objects"].items()}
        return Heading(fields["title"], fields["tracker"], objects)
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError(
            f"there is no record in {folder}: write one with hqtrack run ... --record or "
            "hqtrack score ... --record"
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InputError(
            f"{folder / _JOURNAL} is not a record, or has another version: record again"
        ) from None


def recorded_frames(folder: Path) -> Iterator[RecordedFrame]:
    """The frames of a record in order, read one by one, up to the first damaged line."""
    for frame, _ in _frames(folder / _JOURNAL):
        yield frame


def delete_record(folder: Path) -> None:
    """Delete the journal and the pictures of a record, and no other file."""
    for line in journal_lines(folder / _JOURNAL, skip=True):
        if isinstance(line.value, list) and line.value and isinstance(line.value[0], int):
            picture_path(folder, line.value[0]).unlink(missing_ok=True)
    (folder / _JOURNAL).unlink(missing_ok=True)
    for each in (folder / "frames", folder):
        with contextlib.suppress(OSError):  # it has other files, or is not there
            each.rmdir()


def _frames(journal: Path) -> Iterator[tuple[RecordedFrame, int]]:
    """The frames of a journal, and where their lines end, up to the first damaged line."""
    last = 0
    for line in islice(journal_lines(journal), 1, None):
        try:
            frame = _frame(line.value)
        except (ValueError, TypeError):
            return
        if frame.number <= last:
            return
        last = frame.number
        yield frame, line.end


def _frame(value: Any) -> RecordedFrame:
    number, name, (height, width), memory, objects = value
    groups = tuple((tuple(long_term), short_term) for long_term, short_term in memory)
    found = tuple(RecordedObject(n, Origin(origin), *rest) for n, origin, *rest in objects)
    return RecordedFrame(number, name, (height, width), groups, found)


def _encode(mask: NDArray[np.bool_], size: tuple[int, int]) -> str:
    if mask.shape != size:
        small = cv2.resize(mask.view(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST)
        mask = small.view(np.bool_)
    return encode_mask(mask)


def _rounded(value: float) -> float:
    return round(float(value), 4)
