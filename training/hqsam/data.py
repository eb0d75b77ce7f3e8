"""Images with masks of objects for HQ-SAM: the published HQSeg-44K, and other stills."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils import data

from hqtrack.errors import InputError, MissingFileError
from hqtrack.types import Image, LabelMap
from hqtrack.video import IMAGE_SUFFIXES, order_images, read_image
from training.data.datasets import open_datasets
from training.data.sources import Annotated, Dataset, is_object

SMALLEST = 40
"""Smallest object to learn from, in pixels; smaller ones only if an image has no other."""

HQSEG_ROOTS = ("DIS5K", "thin_object_detection", "cascade_psp")
"""The folders of HQSeg-44K."""

_TRAINING = {
    "DIS5K-TR": ("DIS5K/DIS-TR/im", "DIS5K/DIS-TR/gt"),
    "ThinObject5K-TR": (
        "thin_object_detection/ThinObject5K/images_train",
        "thin_object_detection/ThinObject5K/masks_train",
    ),
    "FSS-1000": ("cascade_psp/fss_all", "cascade_psp/fss_all"),
    "DUTS-TR": ("cascade_psp/DUTS-TR", "cascade_psp/DUTS-TR"),
    "DUTS-TE": ("cascade_psp/DUTS-TE", "cascade_psp/DUTS-TE"),
    "ECSSD": ("cascade_psp/ecssd", "cascade_psp/ecssd"),
    "MSRA-10K": ("cascade_psp/MSRA_10K", "cascade_psp/MSRA_10K"),
}
_VALIDATION = {
    "DIS5K-VD": ("DIS5K/DIS-VD/im", "DIS5K/DIS-VD/gt"),
    "COIFT": ("thin_object_detection/COIFT/images", "thin_object_detection/COIFT/masks"),
    "HRSOD": ("thin_object_detection/HRSOD/images", "thin_object_detection/HRSOD/masks_max255"),
    "ThinObject5K-TE": (
        "thin_object_detection/ThinObject5K/images_test",
        "thin_object_detection/ThinObject5K/masks_test",
    ),
}


@dataclass(frozen=True)
class Matte:
    """An image and the grey mask of its only object, brighter than 127."""

    image: Path
    mask: Path

    def read(self) -> tuple[Image, LabelMap]:
        """See `training.data.sources.Annotated`."""
        image, labels = read_image(self.image), read_image(self.mask)[..., 0] > 127
        if labels.shape != image.shape[:2]:
            raise InputError(
                f"{self.mask} is {labels.shape[1]}x{labels.shape[0]}, its image "
                f"{image.shape[1]}x{image.shape[0]}: masks need the size of their image"
            )
        return image, labels.astype(np.int32)


def open_stills(places: Sequence[Path], validation: bool = False) -> tuple[Dataset, ...]:
    """The training or validation sets in folders of HQSeg-44K, and the datasets in other folders.

    See `training.data.datasets.open_datasets` for the other folders. Raises its errors, and
    InputError if a folder of HQSeg-44K has none of the sets, if a set is empty or if an image lacks
    its mask.
    """
    found: list[Dataset] = []
    for place in places:
        if any((place / root).is_dir() for root in HQSEG_ROOTS):
            found += _open_hqseg(place, _VALIDATION if validation else _TRAINING)
        else:
            found += open_datasets([place])
    return tuple(found)


def _open_hqseg(folder: Path, sets: dict[str, tuple[str, str]]) -> list[Dataset]:
    here = {name: places for name, places in sets.items() if (folder / places[0]).is_dir()}
    if not here:
        wanted = ", ".join(images for images, _ in sets.values())
        raise InputError(f"{folder} has none of {wanted}: get HQSeg-44K again")
    return [
        Dataset(name, "HQSeg-44K", stills=_mattes(folder / images, folder / masks))
        for name, (images, masks) in here.items()
    ]


def _mattes(images: Path, masks: Path) -> tuple[Matte, ...]:
    """The pairs of two folders, or of one folder with JPEG images and PNG masks."""
    together = images == masks
    pictures = _files(images, (".jpg", ".jpeg") if together else IMAGE_SUFFIXES)
    by_stem = {path.stem: path for path in _files(masks, (".png",) if together else IMAGE_SUFFIXES)}
    if not pictures:
        raise InputError(f"no images in {images}: the dataset is not complete, get it again")
    if alone := [path.name for path in pictures if path.stem not in by_stem]:
        raise InputError(
            f"{masks} has no mask for {alone[0]}, as for {len(alone)} of {len(pictures)} images: "
            "the dataset is incomplete; get it again or remove the files without a partner"
        )
    return tuple(Matte(path, by_stem[path.stem]) for path in pictures)


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    if not folder.is_dir():
        raise MissingFileError(f"there is no folder {folder}: the dataset is not complete")
    return order_images(path for path in folder.iterdir() if path.suffix.lower() in suffixes)


def read_objects(still: Annotated) -> tuple[Image, LabelMap, list[int]]:
    """An image, its label map and the labels of its objects, ascending; at least one.

    Raises InputError as `Annotated.read` does, and if the mask has no object.
    """
    image, labels = still.read()
    numbers = np.unique(labels[is_object(labels)]).tolist()
    if not numbers:
        raise InputError(f"the mask of {still.image} has no object: remove it and its image")
    return image, labels, numbers


class Examples(NamedTuple):
    """B images, each with the matte of one object, at the top left of a common rectangle.

    images: [B,3,H,W] uint8. mattes: [B,H,W] uint8, 0 or 255. sizes: [B,2] (height, width) of the
    images; pixels outside have no meaning.
    """

    images: Tensor
    mattes: Tensor
    sizes: Tensor


class Objects(data.Dataset[Examples]):
    """Objects to learn from: each epoch has each image once, shuffled, with one of its objects.

    Sample number n depends only on the seed and n.
    """

    def __init__(self, stills: Sequence[Annotated], seed: int) -> None:
        self.stills = stills
        self._seed = seed
        self._epoch = -1
        self._order = np.empty(0, np.int64)

    def __getitem__(self, number: int) -> Examples:
        """One sample, without the dimension of the batch."""
        epoch, place = divmod(number, len(self.stills))
        if epoch != self._epoch:
            random = np.random.default_rng((self._seed, epoch))
            self._epoch, self._order = epoch, random.permutation(len(self.stills))
        image, labels, numbers = read_objects(self.stills[self._order[place]])
        large = [label for label in numbers if np.count_nonzero(labels == label) >= SMALLEST]
        chosen = np.random.default_rng((self._seed, epoch, place)).choice(large or numbers)
        return Examples(
            torch.tensor(image).permute(2, 0, 1),
            torch.tensor(np.where(labels == chosen, np.uint8(255), np.uint8(0))),
            torch.tensor(labels.shape),
        )

    def __getitems__(self, numbers: list[int]) -> list[Examples]:
        """Samples padded to a common size, for stacking."""
        samples = [self[number] for number in numbers]
        height, width = torch.stack([sample.sizes for sample in samples]).amax(dim=0).tolist()
        return [
            Examples(
                _padded(sample.images, height, width),
                _padded(sample.mattes, height, width),
                sample.sizes,
            )
            for sample in samples
        ]


def _padded(part: Tensor, height: int, width: int) -> Tensor:
    return F.pad(part, (0, width - part.shape[-1], 0, height - part.shape[-2]))
