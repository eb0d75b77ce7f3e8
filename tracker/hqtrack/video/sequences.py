"""Sequences on disk: a folder of frames, and label maps for some or all of them."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hqtrack.errors import InputError, MissingFileError
from hqtrack.masks import label_masks
from hqtrack.types import Image, LabelMap, Masks
from hqtrack.video.images import check_folder, list_images, read_labels, write_labels


@dataclass(frozen=True)
class Sequence:
    """A video on disk: its frames and, for some or all of them, the masks of its objects.

    ``frames`` are the files of the images, ``annotations`` those of the label maps, None where a
    frame has none; both start with the first frame, index 0.
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
        """The labels on the first frame, ascending; errors as of ``labels``."""
        present = np.unique(self.labels(0))
        return tuple(present[present > 0].tolist())

    def labels(self, index: int) -> LabelMap:
        """The label map of frame ``index``; MissingFileError where the frame has none."""
        path = self.annotations[index]
        if path is None:
            raise MissingFileError(
                f"sequence {self.name}: {self.frames[index].name} has no mask; "
                f"save its label map as masks/{self.frames[index].stem}.png"
            )
        return read_labels(path)

    def masks(self, index: int) -> Masks:
        """The masks [N,H,W] of ``objects`` on frame ``index``, empty where one is not seen."""
        return label_masks(self.labels(index), self.objects)

    def first_masks(self) -> Masks:
        """The masks [N,H,W] of ``objects`` on the first frame."""
        return self.masks(0)


def open_sequence(folder: Path) -> Sequence:
    """The sequence in ``folder``: images color/00000001.jpg, ..., label maps masks/00000001.png.

    Frames are numbered from 1 without gaps, in any image format; label maps may be missing.
    Raises MissingFileError where there is no folder color, InputError that names the frame where
    one is missing.
    """
    frames = list_images(folder / "color")
    for number, path in enumerate(frames, start=1):
        if not path.stem.isdecimal():
            raise InputError(f"{path}: frames have numbers for names, like 00000001.jpg")
        if int(path.stem) != number:
            raise InputError(
                f"{folder.name} has no frame {number:08d}{path.suffix} (the next is {path.name}): "
                "number the frames from 1 without gaps"
            )
    masks = (folder / "masks").glob("*.png")
    by_number = {int(path.stem): path for path in masks if path.stem.isdecimal()}
    annotations = tuple(by_number.get(number) for number in range(1, len(frames) + 1))
    return Sequence(folder.absolute().name, tuple(frames), annotations)


def find_sequences(folder: Path) -> list[Sequence]:
    """All sequences right below ``folder``, or ``folder`` itself if it is one; sorted by name.

    Raises MissingFileError where there is no folder, InputError where no sequence is found or one
    is broken; see ``open_sequence``.
    """
    check_folder(folder)
    folders = [path for path in (folder, *sorted(folder.iterdir())) if (path / "color").is_dir()]
    if not folders:
        raise InputError(
            f"no sequences in {folder}: a sequence is a folder with images in color/ "
            "and label maps in masks/, numbered from 00000001"
        )
    return [open_sequence(path) for path in folders]


def write_sequence(
    folder: Path, images: Iterable[Image], label_maps: Iterable[NDArray[np.integer]]
) -> None:
    """Write color/00000001.jpg, ... and masks/00000001.png, ... into a new folder.

    The images [H,W,3] are 8-bit RGB, the label maps [H,W] are theirs, one each. The folder appears
    when it is complete. Raises InputError if it exists already.
    """
    if folder.exists():
        raise InputError(f"{folder} is already there: remove it or give another folder")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for name in ("color", "masks"):
        (partial / name).mkdir(parents=True)
    for number, (image, labels) in enumerate(zip(images, label_maps, strict=True), start=1):
        pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
        (partial / "color" / f"{number:08d}.jpg").write_bytes(data.tobytes())
        write_labels(partial / "masks" / f"{number:08d}.png", labels)
    partial.rename(folder)
