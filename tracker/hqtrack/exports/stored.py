"""A run as it is stored in its folder, for those who only read it."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hqtrack.errors import InputError, MissingFileError
from hqtrack.files import first_line
from hqtrack.runs.journal import FrameRecord, stored_records
from hqtrack.runs.objects import Numbered, Place, places_in
from hqtrack.video.sources import Images, Source, open_source
from hqtrack.video.streams import Frame

_SEVERAL = re.compile(r" and \d+ more$")


@dataclass(frozen=True)
class StoredRun:
    """The finished frames of a run when it was opened, of which there is at least one.

    folder: the run's. video: the address of its video, read from frame ``start`` on, every
    ``every``-th. places: what was given for objects, in this order. frames: how many. size:
    (height, width) of the frames.
    """

    folder: Path
    video: str
    start: int
    every: int
    places: tuple[Place, ...]
    frames: int
    size: tuple[int, int]

    @property
    def several(self) -> bool:
        """Whether the video is several files, which are not at its address."""
        return _SEVERAL.search(self.video) is not None

    @property
    def objects(self) -> tuple[Numbered, ...]:
        """The objects, in the order in which they were given."""
        return tuple(dict.fromkeys(place.object for place in self.places))

    def open_video(self) -> Source:
        """The video at its address; raises the errors of ``hqtrack.video.sources.open_source``."""
        if self.several:
            raise InputError(
                f"the run in {self.folder} has several files as its video: give them with --video"
            )
        return open_source(self.video)

    @property
    def name(self) -> str:
        """The name of the video in exported files."""
        return self.folder.resolve().name

    def records(self) -> Iterator[FrameRecord]:
        """The finished frames in order, read one by one."""
        return islice(stored_records(self.folder), self.frames)

    def frames_of(self, source: Source) -> Iterator[tuple[FrameRecord, Frame]]:
        """Each finished frame with the frame of the video.

        Raises InputError if the video lacks a frame, or has frames of another size.
        """
        # a mask file in the folder of the images is no frame: the names decide, not the numbers
        steps = (1, 1) if isinstance(source, Images) else (self.start, self.every)
        frames = source.read(*steps)
        for record in self.records():
            frame = next((frame for frame in frames if frame.name == record.name), None)
            if frame is None:
                raise InputError(
                    f"{source.address} has no frame {record.name} of the run in {self.folder}: "
                    "give the video of this run with --video"
                )
            if frame.image.shape[:2] != record.size:
                height, width = record.size
                raise InputError(
                    f"{source.address} is {frame.image.shape[1]}x{frame.image.shape[0]} and the "
                    f"run in {self.folder} is {width}x{height}: give the video of this run with "
                    "--video"
                )
            yield record, frame


def open_run(folder: Path) -> StoredRun:
    """Open the folder of a run, also of one that is interrupted.

    Raises MissingFileError if there is no run, InputError if it is damaged or has no frame yet.
    """
    journal = folder / "frames.jsonl"
    line = first_line(journal) if folder.is_dir() else None
    if line is None:
        raise MissingFileError(f"there is no run in {folder}: give a folder of `hqtrack run`")
    try:
        run = json.loads(line)["run"]
        places = places_in(run["objects"])
        video, start, every = str(run["video"]), int(run["start"]), int(run["every"])
    except (ValueError, TypeError, KeyError):
        raise InputError(
            f"{journal} is not the journal of a run: give a folder of `hqtrack run`"
        ) from None
    count, size = 0, (0, 0)
    for record in stored_records(folder):
        count, size = count + 1, record.size
    if not count:
        raise InputError(f"the run in {folder} has no finished frame yet: let it track some")
    return StoredRun(folder, video, start, every, places, count, size)
