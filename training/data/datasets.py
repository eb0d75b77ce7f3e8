"""Finds datasets, and checks them before a training."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hqtrack.errors import InputError, MissingFileError
from training.data.layouts import LAYOUTS
from training.data.sources import Dataset, is_object

_DAVIS_VALIDATION = (
    "bike-packing blackswan bmx-trees breakdance camel car-roundabout car-shadow cows "
    "dance-twirl dog dogs-jump drift-chicane drift-straight goat gold-fish horsejump-high india "
    "judo kite-surf lab-coat libby loading mbike-trick motocross-jump paragliding-launch "
    "parkour pigs scooter-black shooting soapbox"
)
DAVIS_VALIDATION = frozenset(_DAVIS_VALIDATION.split())
"""Sequences of the validation sets of DAVIS 2016 and 2017, on which trackers are scored."""

COLLECTION = ("davis_train", "stills", "video_train", "stills_fine")
"""If a folder has no layout, these subfolders are its datasets."""

MOST_PROBLEMS = 20
"""A report lists at most so many problems one by one."""


def open_datasets(places: Sequence[str | Path]) -> tuple[Dataset, ...]:
    """The datasets at these places, each `[LAYOUT:]FOLDER[=SHARE]`.

    LAYOUT is a key of `LAYOUTS`, recognised by default. SHARE is a positive number, by default 1. A
    folder without a layout may contain those of `COLLECTION`. Raises the errors of
    `open_dataset`.
    """
    found: list[Dataset] = []
    for place in places:
        layout, folder, share = _parse(str(place))
        inside = [folder / name for name in COLLECTION if (folder / name).is_dir()]
        for part in inside if inside and layout is None else [folder]:
            found.append(replace(open_dataset(part, layout), share=share))
    return tuple(found)


def open_dataset(path: Path, layout: str | None = None) -> Dataset:
    """The dataset in a folder, or of a COCO annotations file.

    This lists files and opens no image. Raises MissingFileError if there is no such path. Raises
    InputError if no layout or another one than `layout` fits, if files are missing or nothing is
    left, and if a video has the name of a DAVIS validation sequence.
    """
    if not path.exists():
        raise MissingFileError(f"there is no dataset {path}; check the path")
    layout = layout or _recognise(path)
    found = LAYOUTS[layout].read(path)
    measured = sorted(DAVIS_VALIDATION.intersection(video.name for video in found.videos))
    if measured:
        raise InputError(
            f"{path} has {len(measured)} sequences of the DAVIS validation sets, which training "
            f"must not use ({', '.join(measured[:3])}, ...): add ImageSets/2017/train.txt, or "
            "remove them; rename a different video with such a name"
        )
    if not found.videos and not found.stills:
        raise InputError(f"nothing to train on in {path}: {'; '.join(found.skipped) or 'empty'}")
    return Dataset(
        str(path), layout, tuple(found.videos), tuple(found.stills), tuple(found.skipped)
    )


def _parse(place: str) -> tuple[str | None, Path, float]:
    """Layout, folder and share of a place, see `open_datasets`."""
    layout, colon, rest = place.partition(":")
    known = colon and layout in LAYOUTS
    folder, equals, share = (rest if known else place).rpartition("=")
    if not equals:
        folder, share = share, "1"
    try:
        number = float(share)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise InputError(f"{place}: the share after = has to be a positive number, like =2")
    return (layout if known else None), Path(folder), number


def _recognise(path: Path) -> str:
    for name, layout in LAYOUTS.items():
        if layout.fits(path):
            return name
    known = "; ".join(f"{name}: {layout.shape}" for name, layout in LAYOUTS.items())
    raise InputError(f"no dataset in {path}; known layouts: {known}")


@dataclass(frozen=True)
class Report:
    """The content of a dataset, as far as it was checked.

    Attributes:
        dataset: its name and layout.
        videos, stills: their numbers.
        frames: number of annotated frames of the videos.
        looked_at: number of images that were read with their masks.
        objects: (fewest, most) objects in an image with objects.
        heights, widths: (least, most) in pixels.
        empty: number of images whose masks show no object.
        crowded: number of images with more objects than the model supports.
        skipped: what was skipped and why.
        problems: files that cannot be used, with the remedy; at most `MOST_PROBLEMS`.
    """

    dataset: str
    videos: int
    stills: int
    frames: int
    looked_at: int
    objects: tuple[int, int]
    heights: tuple[int, int]
    widths: tuple[int, int]
    empty: int
    crowded: int
    skipped: tuple[str, ...]
    problems: tuple[str, ...]

    def __str__(self) -> str:
        held = f"{self.videos} videos, {self.frames} frames" if self.videos else ""
        held = held or f"{self.stills} stills"
        lines = [
            f"{self.dataset}: {held}; {self.looked_at} checked, "
            f"{_span(self.widths)} x {_span(self.heights)} pixels, {_span(self.objects)} objects"
        ]
        lines += [f"  skipped: {reason}" for reason in self.skipped]
        if self.empty:
            lines.append(f"  {self.empty} without an object: skipped")
        if self.crowded:
            lines.append(
                f"  {self.crowded} with more objects than the model supports: some are used"
            )
        return "\n".join(lines + [f"  {problem}" for problem in self.problems])


def inspect_dataset(dataset: Dataset, objects: int, most: int | None = None) -> Report:
    """Read all images and masks of a dataset, or `most` of them evenly spread, and count.

    `objects` is the number that the model supports. The report lists files that cannot be used;
    this raises no error for them.
    """
    images = dataset.images
    if most is not None and most < len(images):
        images = [images[index] for index in np.linspace(0, len(images) - 1, most).astype(int)]
    counts: Counter[int] = Counter()
    shapes: list[tuple[int, ...]] = []
    problems = []
    for annotated in images:
        try:
            image, labels = annotated.read()
        except InputError as error:
            problems.append(str(error))
            continue
        shapes.append(image.shape[:2])
        counts[len(np.unique(labels[is_object(labels)]))] += 1
    if not any(counts):
        problems.append(f"no image of {dataset.name} has an object: check its masks")
    return Report(
        f"{dataset.name} ({dataset.layout})",
        len(dataset.videos),
        len(dataset.stills),
        sum(len(video.annotated) for video in dataset.videos),
        len(shapes),
        _extremes([number for number in counts if number]),
        _extremes([height for height, _ in shapes]),
        _extremes([width for _, width in shapes]),
        counts[0],
        sum(count for number, count in counts.items() if number > objects),
        dataset.skipped,
        _shortened(problems),
    )


def _extremes(values: Sequence[int]) -> tuple[int, int]:
    return (min(values), max(values)) if values else (0, 0)


def _span(extremes: tuple[int, int]) -> str:
    least, most = extremes
    return str(least) if least == most else f"{least}-{most}"


def _shortened(problems: list[str]) -> tuple[str, ...]:
    if len(problems) <= MOST_PROBLEMS:
        return tuple(problems)
    return (*problems[:MOST_PROBLEMS], f"... and {len(problems) - MOST_PROBLEMS} more")
