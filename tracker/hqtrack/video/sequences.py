"""Sequences on disk: a folder of frames, and label maps for some or all of them."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hqtrack.errors import InputError, MissingFileError
from hqtrack.files import new_folder
from hqtrack.masks import label_masks
from hqtrack.types import Image, LabelMap, Masks
from hqtrack.video.images import (
    IMAGE_SUFFIXES,
    check_folder,
    is_hidden,
    list_images,
    order_images,
    write_image,
)
from hqtrack.video.mask_files import read_mask_file, write_labels
from hqtrack.video.mask_rules import MaskContent


@dataclass(frozen=True)
class Sequence:
    """A video on disk: its frames and, for some or all of them, the masks of its objects.

    ``frames`` are the image files, ``annotations`` the label map files, None for a frame without
    one. Both start with the first frame, index 0.
    """

    name: str
    frames: tuple[Path, ...]
    annotations: tuple[Path | None, ...]

    @property
    def fully_annotated(self) -> bool:
        """Whether every frame has a label map."""
        return None not in self.annotations

    @cached_property
    def objects(self) -> tuple[int, ...]:
        """The labels on the first frame, ascending; raises the errors of ``labels``."""
        present = np.unique(self.labels(0))
        return tuple(present[present > 0].tolist())

    def content(self, index: int) -> MaskContent:
        """The mask file of frame ``index``; raises MissingFileError if the frame has none."""
        path = self.annotations[index]
        if path is None:
            raise MissingFileError(
                f"sequence {self.name}: {self.frames[index].name} has no mask; "
                f"save its label map as masks/{self.frames[index].stem}.png"
            )
        return read_mask_file(path, self._numbered)

    @cached_property
    def _numbered(self) -> bool:
        """Whether the first mask numbers objects, so that white alone is void in others."""
        first = read_mask_file(next(path for path in self.annotations if path is not None))
        return bool(first.labels.any()) and not first.white

    def labels(self, index: int) -> LabelMap:
        """The label map of frame ``index``; raises MissingFileError if the frame has none."""
        return self.content(index).labels

    def masks(self, index: int) -> Masks:
        """The masks [N,H,W] of ``objects`` on frame ``index``; empty for an absent object."""
        return label_masks(self.labels(index), self.objects)

    def first_masks(self) -> Masks:
        """The masks [N,H,W] of ``objects`` on the first frame."""
        return self.masks(0)


def open_sequence(folder: Path, mask_shift: int = 0) -> Sequence:
    """The sequence in ``folder``: images color/00000001.jpg, ..., label maps masks/00000001.png.

    Frames are numbered from 1, or from 0, without gaps, in any image format. A label map is an
    image whose number plus ``mask_shift`` is the number of its frame; label maps may be missing.
    Raises MissingFileError if there is no folder color, InputError if a frame is missing or the
    folder masks contains an image that belongs to no frame.
    """
    folder = Path(os.path.abspath(folder))
    frames = _numbered(folder, list_images(folder / "color"))
    masks = _match(folder, frames, mask_shift) if (folder / "masks").exists() else {}
    annotations = tuple(masks.get(number) for number in frames)
    return Sequence(folder.name, tuple(frames.values()), annotations)


def _numbered(folder: Path, images: list[Path]) -> dict[int, Path]:
    """The frames by number, ascending; raises InputError if one is missing or has no number."""
    frames: dict[int, Path] = {}
    for path in images:
        if not path.stem.isdecimal():
            raise InputError(f"{path}: name frames by their numbers, like 00000001.jpg")
        number = int(path.stem)
        if number in frames:
            raise InputError(
                f"{frames[number]} and {path} have the same number: which is the frame?"
            )
        expected = len(frames) + (0 if 0 in frames else 1)
        if number != expected and not (number == 0 and not frames):
            raise InputError(
                f"{folder.name} has no frame {expected:08d}{path.suffix} (the next is "
                f"{path.name}): number the frames from 1 without gaps"
            )
        frames[number] = path
    return frames


def _match(folder: Path, frames: dict[int, Path], shift: int) -> dict[int, Path]:
    """The label maps by the number of their frame; raises InputError for one without a frame."""
    images = order_images((folder / "masks").iterdir())
    if not images and any(not is_hidden(path) for path in (folder / "masks").iterdir()):
        raise InputError(
            f"{folder / 'masks'} has no image: save the label map of each frame as an image with "
            f"the number of the frame, like {next(iter(frames.values())).stem}.png"
        )
    found: dict[int, Path] = {}
    for path in images:
        inner = Path(path.stem)  # 00000001.jpg.png is a mask of 00000001.jpg, too
        stem = inner.stem if inner.suffix.lower() in IMAGE_SUFFIXES else path.stem
        if not stem.isdecimal():
            raise InputError(
                f"{path} belongs to no frame: name a label map like its frame, for example "
                f"{next(iter(frames.values())).stem}.png, or remove it"
            )
        number = int(stem) + shift
        if number in found:
            raise InputError(f"{found[number]} and {path} have the same number: which is the mask?")
        found[number] = path
    strangers = [path for number, path in found.items() if number not in frames]
    if strangers:
        raise InputError(_about_strangers(strangers, frames, found, shift))
    return found


def _about_strangers(
    strangers: list[Path], frames: dict[int, Path], masks: dict[int, Path], shift: int
) -> str:
    """A message about masks without a frame; proposes a shift if one gives each mask a frame."""
    first = next(iter(frames))
    proposed = first - min(masks)
    said = (
        f"{strangers[0]} belongs to no frame, as {len(strangers)} of {len(masks)} masks: frames "
        f"are numbered from {first} to {max(frames)}, masks from {min(masks) - shift} to "
        f"{max(masks) - shift}"
    )
    if all(number + proposed in frames for number in masks):
        return (
            f"{said}; adding {shift + proposed} to their numbers gives each a frame: compare "
            f"{masks[min(masks)].name} with {frames[first].name}, then give --mask-shift "
            f"{shift + proposed}, or rename the masks"
        )
    return f"{said}; give each mask the number of its frame, or remove files that are not masks"


def find_sequences(folder: Path, mask_shift: int = 0) -> list[Sequence]:
    """All sequences directly in ``folder``, or ``folder`` itself if it is one; sorted by name.

    Hidden folders do not count. Raises MissingFileError if there is no folder, InputError if it has
    no sequence or a broken one; see ``open_sequence``, also for ``mask_shift``.
    """
    check_folder(folder)
    below = [path for path in sorted(folder.iterdir()) if not is_hidden(path)]
    folders = [path for path in (folder, *below) if (path / "color").is_dir()]
    if not folders:
        raise InputError(
            f"no sequences in {folder}: a sequence is a folder with images in color/ "
            "and label maps in masks/, numbered from 00000001"
        )
    return [open_sequence(path, mask_shift) for path in folders]


def write_sequence(
    folder: Path, images: Iterable[Image], label_maps: Iterable[NDArray[np.integer]]
) -> None:
    """Write color/00000001.jpg, ... and masks/00000001.png, ... into a new folder.

    The images [H,W,3] are 8-bit RGB, with one label map [H,W] each. The folder appears only when
    it is complete. Raises InputError if it already exists.
    """
    if folder.exists():
        raise InputError(f"{folder} already exists: remove it or give another folder")
    with new_folder(folder) as part:
        for name in ("color", "masks"):
            (part / name).mkdir()
        for number, (image, labels) in enumerate(zip(images, label_maps, strict=True), start=1):
            write_image(part / "color" / f"{number:08d}.jpg", image)
            write_labels(part / "masks" / f"{number:08d}.png", labels)
