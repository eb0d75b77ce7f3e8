"""Exports a run: which formats there are, and how each is written to its place."""

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from hqtrack.errors import InputError
from hqtrack.exports import pictures, tables, videos
from hqtrack.exports.stored import StoredRun
from hqtrack.files import new_folder, replacing
from hqtrack.runs.coco import coco_parts
from hqtrack.video.sources import Source

_MARK = ".hqtrack-export"
"""A file in each exported folder: only such a folder is replaced."""


Video: TypeAlias = Callable[[], Source]
"""Opens the video of a run; a format that needs no pictures does not call it."""


@dataclass(frozen=True)
class Format:
    """A format: its file or folder, what it is, and what writes it.

    ``write`` gets the run, its video, and where to write: a file, or an empty folder if
    ``is_folder``.
    """

    place: str
    about: str
    write: Callable[[StoredRun, Video, Path], None]
    is_folder: bool = False


def _text(parts: Callable[[StoredRun], Iterable[str]], run: StoredRun, _: Video, to: Path) -> None:
    with to.open("w", encoding="utf-8", newline="") as file:
        file.writelines(parts(run))


FORMATS = {
    "davis": Format(
        "davis",
        "indexed PNGs in the layout of DAVIS and YouTube-VOS",
        lambda run, _, to: videos.write_davis(run, to),
        is_folder=True,
    ),
    "coco": Format(
        "coco.json",
        "COCO run lengths per frame, with track_id",
        partial(_text, lambda run: coco_parts(run.objects, run.records)),
    ),
    "youtube-vis": Format(
        "youtube_vis.json", "YouTube-VIS: a track per object", partial(_text, videos.youtube_vis)
    ),
    "mots": Format("mots.txt", "the text of MOTS", partial(_text, tables.mots)),
    "csv": Format("boxes.csv", "boxes, areas and confidence", partial(_text, tables.box_table)),
    "cutouts": Format(
        "cutouts",
        "each object as PNGs with alpha",
        lambda run, video, to: pictures.write_cutouts(run, video(), to),
        is_folder=True,
    ),
    "cutouts-webm": Format(
        "cutouts_webm",
        "each object as a WebM video with alpha",
        lambda run, video, to: pictures.write_cutout_videos(run, video(), to),
        is_folder=True,
    ),
    "overlay": Format(
        "overlay.mp4",
        "masks and names on the video",
        lambda run, video, to: pictures.write_overlay(run, video(), to),
    ),
}
"""The formats by the name that the user gives."""


def export(run: StoredRun, names: Sequence[str], output: Path, video: Video) -> list[Path]:
    """Write a run in these formats into the folder ``output``; returns the files and folders.

    Each replaces its own earlier export, when it is complete. Raises InputError for an unknown
    format, for a place that something else occupies, if a format cannot hold the run, and if the
    video is not that of the run.
    """
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise InputError(f"there is no format {unknown[0]}: choose from {', '.join(FORMATS)}")
    chosen = [FORMATS[name] for name in dict.fromkeys(names)]
    for each in chosen:
        _check_free(output / each.place, each.is_folder)
    output.mkdir(parents=True, exist_ok=True)
    for each in chosen:
        place = output / each.place
        if each.is_folder:
            _replace_folder(place, partial(each.write, run, video))
        else:
            with replacing(place) as part:
                each.write(run, video, part)
    return [output / each.place for each in chosen]


def _replace_folder(place: Path, fill: Callable[[Path], None]) -> None:
    fresh = place.with_name(f".{place.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    with new_folder(fresh) as part:
        fill(part)
        (part / _MARK).touch()
    if place.exists():
        shutil.rmtree(place)
    os.replace(fresh, place)


def _check_free(place: Path, is_folder: bool) -> None:
    """Raise InputError if something else than an earlier export lies there."""
    if not place.exists() or (is_folder and (place / _MARK).exists()):
        return
    if is_folder or not place.is_file():
        raise InputError(
            f"{place} was there before and is no export: give another --output, or move it away"
        )
