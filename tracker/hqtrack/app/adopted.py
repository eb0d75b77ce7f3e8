"""The project of a run that the command line made, so that the application can go on with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hqtrack.app.project import Given, Item, Project
from hqtrack.errors import InputError, MissingFileError
from hqtrack.exports.masks import object_mask
from hqtrack.exports.stored import StoredRun, open_run
from hqtrack.runs.journal import FrameRecord, stored_records
from hqtrack.runs.objects import Place
from hqtrack.video.run_lengths import decode_mask, encode_mask


def video_of_run(folder: Path) -> str | None:
    """The address of the video of the run in a folder; None if there is no run.

    Raises InputError if the run is damaged, has no frame, or has several files as its video.
    """
    try:
        run = open_run(folder)
    except MissingFileError:
        return None
    if run.several:
        raise InputError(
            f"the run in {folder} has several files as its video, and the application takes one "
            "video or folder: give it, with another --output"
        )
    return run.video


class Adopted(NamedTuple):
    """The objects of a run with the masks that were given for them.

    unknown: what was given on frames that are not finished, whose masks are not known.
    """

    project: Project
    unknown: tuple[Place, ...]


def adopt(folder: Path, video: str) -> Adopted | None:
    """The objects of the run of a video in a folder, by the masks of its finished frames.

    None if there is no run with a frame. Raises InputError if the run is that of another video,
    skips frames, or is damaged.
    """
    if next(stored_records(folder), None) is None:
        return None
    run = open_run(folder)
    if run.video != video:
        raise InputError(f"{folder} has a run of {run.video}: give that video, or another --output")
    if (run.start, run.every) != (1, 1):
        raise InputError(
            f"the run in {folder} began with --start {run.start} --every {run.every}, and the "
            "application reads every frame: give another --output"
        )
    wanted = {place.frame or 1 for place in run.places}
    records = {record.number: record for record in run.records() if record.number in wanted}
    known = [place for place in run.places if (place.frame or 1) in records]
    unknown = tuple(place for place in run.places if place not in known)
    return Adopted(_project(run, known, records), unknown)


def agree(run: Project, project: Project, last: int, size: tuple[int, int]) -> bool:
    """Whether the finished frames, up to ``last``, were made with what a project gives.

    run: what ``adopt`` found; where masks overlap, it has less of them than the project. size:
    (height, width) of the frames.
    """
    found, wanted = _masks(run, last), _masks(project, last)
    return found.keys() == wanted.keys() and all(
        mask == wanted[place] or _within(mask, wanted[place], size) for place, mask in found.items()
    )


def _masks(project: Project, last: int) -> dict[tuple[int, int], str]:
    """The masks that are given up to a frame, by the number of the object and the frame."""
    return {
        (item.number, given.frame): given.mask
        for item in project.items
        for given in item.given
        if given.frame <= last
    }


def _within(mask: str, other: str, size: tuple[int, int]) -> bool:
    return not (decode_mask(mask, *size) & ~decode_mask(other, *size)).any()


def _project(run: StoredRun, known: Sequence[Place], records: dict[int, FrameRecord]) -> Project:
    items = []
    for each in run.objects:
        frames = [place.frame or 1 for place in known if place.object == each]
        masks = [encode_mask(object_mask(records[frame], each.number)) for frame in frames]
        given = tuple(Given(frame, mask, mask) for frame, mask in zip(frames, masks, strict=True))
        items.append(Item(each.number, each.name, given=given))
    return Project.of(items)
