"""Layouts of datasets on disk; the readers list files and open no image."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hqtrack.errors import InputError, MissingFileError
from hqtrack.video import is_hidden, list_images, order_images
from training.data import coco
from training.data.sources import Annotated, AnnotatedVideo, MaskedImage

DAVIS_LISTS = ("2017/train.txt", "2016/train.txt", "480p/train.txt")
"""The files below ImageSets in which DAVIS names its training sequences; the first one counts."""

PAIRS = (("images", "masks"), ("im", "gt"))
"""Names of the folders of stills and of their masks."""


class Found(NamedTuple):
    """The content of a folder, and what was skipped and why."""

    videos: Sequence[AnnotatedVideo] = ()
    stills: Sequence[Annotated] = ()
    skipped: Sequence[str] = ()


@dataclass(frozen=True)
class Layout:
    """A layout: how to recognise and read it.

    Attributes:
        shape: a short description.
        fits: whether a path looks like it.
        read: lists the content; raises InputError if files are missing.
    """

    shape: str
    fits: Callable[[Path], bool]
    read: Callable[[Path], Found]


def read_davis(folder: Path) -> Found:
    """DAVIS 2016 or 2017 at 480p: only its training sequences.

    Without a list of training sequences, all sequences.
    """
    images, masks = folder / "JPEGImages/480p", folder / "Annotations/480p"
    lists = [folder / "ImageSets" / name for name in DAVIS_LISTS]
    listed = next((path for path in lists if path.is_file()), None)
    names = _listed(listed) if listed else _folders(images)
    return Found([_video(name, images / name, masks / name) for name in names])


def _listed(path: Path) -> list[str]:
    """Names of sequences, one per line; DAVIS 2016 has paths of image and mask instead."""
    words = (line.split()[0] for line in path.read_text().splitlines() if line.strip())
    names = [Path(word).parent.name if "/" in word else word for word in words]
    if not names:
        raise InputError(f"{path} is empty: it names the training sequences, one per line")
    return sorted(set(names))


def read_youtube_vos(folder: Path) -> Found:
    """YouTube-VOS: the frames with a mask of each video."""
    if (folder / "train").is_dir():
        folder = folder / "train"
    images, masks = folder / "JPEGImages", folder / "Annotations"
    names = _folders(masks)
    if (folder / "meta.json").is_file():
        names = sorted(coco.load(folder / "meta.json", "videos")["videos"])
    videos = [_video(name, images / name, masks / name, dense=False) for name in names]
    return _without_short(videos)


def read_sequences(folder: Path) -> Found:
    """NAME/color and NAME/masks, as everywhere in this project; frames may lack a mask."""
    names = [name for name in _folders(folder) if (folder / name / "color").is_dir()]
    return _without_short(
        [_sparse(name, folder / name / "color", folder / name / "masks") for name in names]
    )


def read_stills(folder: Path) -> Found:
    """Images and masks in two folders, or NAME.jpg and NAME.png in one folder."""
    for images, masks in PAIRS:
        if (folder / images).is_dir():
            return Found(stills=_pairs(folder / images, folder / masks))
    found = list(folder.iterdir())
    photos = [path for path in found if path.suffix.lower() in (".jpg", ".jpeg")]
    masks_beside = [path for path in found if path.suffix.lower() == ".png"]
    return Found(stills=_matched(order_images(photos), order_images(masks_beside), folder))


def read_coco(path: Path) -> Found:
    """A COCO annotations file and its images, or the folder of both."""
    return Found(stills=(read := coco.read(path)).stills, skipped=read.skipped)


def _beside(folder: Path) -> bool:
    """Whether there is a photo with a mask in the same folder."""
    photos = (path for path in folder.glob("*.jpg") if not is_hidden(path))
    return any(path.with_suffix(".png").is_file() for path in photos)


def _holds_sequences(folder: Path) -> bool:
    """Whether there is a folder with a folder ``color`` in it."""
    return any(not is_hidden(path.parent) for path in folder.glob("*/color/"))


LAYOUTS = {
    "davis": Layout("JPEGImages/480p/NAME", lambda p: (p / "JPEGImages/480p").is_dir(), read_davis),
    "youtube-vos": Layout(
        "[train/]JPEGImages/NAME",
        lambda p: any((p / sub / "JPEGImages").is_dir() for sub in ("train", "")),
        read_youtube_vos,
    ),
    "coco": Layout("annotations/instances_*.json", coco.fits, read_coco),
    "stills": Layout(
        "images/ with masks/, im/ with gt/, or NAME.jpg with NAME.png",
        lambda p: (
            any((p / one).is_dir() and (p / two).is_dir() for one, two in PAIRS) or _beside(p)
        ),
        read_stills,
    ),
    "sequences": Layout("NAME/color", _holds_sequences, read_sequences),
}
"""The layouts, tried in this order."""


def _folders(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise MissingFileError(f"there is no folder {folder}: the dataset is not complete")
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not is_hidden(p))
    if not names:
        raise InputError(f"{folder} is empty: the dataset is not complete")
    return names


def _video(name: str, images: Path, masks: Path, dense: bool = True) -> AnnotatedVideo:
    """The frames of a video that have masks; with ``dense``, all frames must have one."""
    frames = list_images(images)
    if dense:
        return AnnotatedVideo(name, tuple(_matched(frames, list_images(masks), images)))
    place = {path.stem: index for index, path in enumerate(frames)}
    drawn = list_images(masks)
    _complain([path for path in drawn if path.stem not in place], "image", images)
    annotated = [MaskedImage(frames[place[mask.stem]], mask) for mask in drawn]
    gaps = np.diff([place[mask.stem] for mask in drawn])
    return AnnotatedVideo(name, tuple(annotated), int(np.median(gaps)) if len(gaps) else 1)


def _sparse(name: str, images: Path, masks: Path) -> AnnotatedVideo:
    """All frames of a video, with those masks that there are; each needs its image."""
    frames, drawn = list_images(images), list_images(masks)
    stems = {path.stem for path in frames}
    _complain([path for path in drawn if path.stem not in stems], "image", images)
    mask_of = {path.stem: path for path in drawn}
    return AnnotatedVideo(name, tuple(MaskedImage(path, mask_of.get(path.stem)) for path in frames))


def _pairs(images: Path, masks: Path) -> list[MaskedImage]:
    return _matched(list_images(images), list_images(masks), images)


def _matched(images: list[Path], masks: list[Path], folder: Path) -> list[MaskedImage]:
    """Each image with the mask of the same stem; raises InputError if one has no partner."""
    if not images:
        raise InputError(f"no images in {folder}")
    by_stem = {path.stem: path for path in masks}
    _complain([path for path in images if path.stem not in by_stem], "mask", folder)
    stems = {path.stem for path in images}
    _complain([path for path in masks if path.stem not in stems], "image", folder)
    return [MaskedImage(path, by_stem[path.stem]) for path in images]


def _complain(alone: list[Path], lack: str, folder: Path) -> None:
    if alone:
        raise InputError(
            f"{alone[0]} has no {lack}, as {len(alone)} of the files for {folder}: the dataset is "
            "incomplete; copy it again or remove the files without a partner"
        )


def _without_short(videos: Iterable[AnnotatedVideo]) -> Found:
    """Skip videos that cannot show a change."""
    videos = list(videos)
    kept = [video for video in videos if len(video.annotated) > 1]
    short = len(videos) - len(kept)
    return Found(kept, skipped=[f"{short} videos with one annotated frame"] if short else [])
