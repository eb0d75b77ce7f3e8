"""Stress: annotated sequences made harder, with real pixels, exact truth and seeds.

Each kind takes a sequence and gives another one, an ``Annotated`` that makes its frames on demand.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import cv2
import numpy as np
from numpy.random import PCG64, Generator

from hqtrack.scoring.annotated import Annotated, AnnotatedFrame
from hqtrack.scoring.mosaic import SIZE, Grid, make_mosaics
from hqtrack.types import Image, Masks

Change = Callable[[int, Image, Masks], tuple[Image, Masks]]
"""Number of the frame from 0, image, true masks -> the image and the masks that are shown."""

DELAY = 10
"""Frames by which the look-alike of a twin follows."""

KEPT = 3
"""Of so many frames one stays where frames are dropped."""

NOISE = 20.0
"""Standard deviation of the noise, in grey levels."""


@dataclass(frozen=True)
class Changed:
    """A sequence with changed frames; the first frame stays as it is.

    ``order`` lists the frames of the sequence that are shown, counted from 0; None shows all.
    """

    name: str
    sequence: Annotated
    change: Change
    order: tuple[int, ...] | None = None

    @property
    def objects(self) -> tuple[int, ...]:
        """Those of the sequence."""
        return self.sequence.objects

    def __len__(self) -> int:
        """Number of frames shown."""
        return len(self.sequence) if self.order is None else len(self.order)

    def read(self) -> Iterator[AnnotatedFrame]:
        """See ``Annotated.read``."""
        for number, frame in enumerate(self._shown()):
            shown = (frame.image, frame.masks)
            image, masks = self.change(number, *shown) if number else shown
            yield AnnotatedFrame(f"{number + 1:08d}", image, masks)

    def _shown(self) -> Iterator[AnnotatedFrame]:
        if self.order is None:
            yield from self.sequence.read()
        elif list(self.order) == sorted(self.order):
            wanted = set(self.order)
            frames = enumerate(self.sequence.read())
            yield from (frame for number, frame in frames if number in wanted)
        else:
            frames_kept = list(islice(self.sequence.read(), max(self.order) + 1))
            yield from (frames_kept[number] for number in self.order)


@dataclass(frozen=True)
class Twin:
    """A sequence beside itself some frames later: only the objects on the left are asked for."""

    name: str
    sequence: Annotated

    @property
    def objects(self) -> tuple[int, ...]:
        """Those of the sequence."""
        return self.sequence.objects

    def __len__(self) -> int:
        """The frames that have a later one."""
        return len(self.sequence) - DELAY

    def read(self) -> Iterator[AnnotatedFrame]:
        """See ``Annotated.read``."""
        later = islice(self.sequence.read(), DELAY, None)
        for frame, other in zip(self.sequence.read(), later, strict=False):
            image = np.hstack([frame.image, other.image])
            masks = np.concatenate([frame.masks, np.zeros_like(frame.masks)], axis=2)
            yield AnnotatedFrame(frame.name, image, masks)


def _same(number: int, image: Image, masks: Masks) -> tuple[Image, Masks]:
    return image, masks


def occlude(
    number: int, image: Image, masks: Masks, *, frames: int, seed: int
) -> tuple[Image, Masks]:
    """A striped board, a third of the width, that crosses the image once; what it hides is gone."""
    width = image.shape[1]
    rng = Generator(PCG64(seed))
    colours = rng.integers(0, 256, (8, 3), np.uint8)
    forth = bool(rng.integers(2))
    board = width // 3
    share = (number - 0.15 * frames) / (0.7 * frames)
    left = round((share if forth else 1 - share) * (width + board)) - board
    columns = np.arange(max(left, 0), min(left + board, width))
    if not len(columns):
        return image, masks
    image, masks = image.copy(), masks.copy()
    image[:, columns] = colours[(columns - left) * len(colours) // board]
    masks[:, :, columns] = False
    return image, masks


def add_noise(number: int, image: Image, masks: Masks, *, seed: int) -> tuple[Image, Masks]:
    """Independent noise on every pixel of every frame."""
    noise = Generator(PCG64([seed, number])).normal(0, NOISE, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), masks


def vary_light(number: int, image: Image, masks: Masks, *, seed: int) -> tuple[Image, Masks]:
    """Brightness that swings between half and one and a half, once in forty frames."""
    turn = 1 if Generator(PCG64(seed)).integers(2) else -1
    gain = 1 + 0.5 * turn * np.sin(2 * np.pi * number / 40)
    return np.asarray(cv2.convertScaleAbs(image, alpha=gain), np.uint8), masks


def there_and_back(frames: int, shown: int) -> tuple[int, ...]:
    """Frames 0 to the last, back to 0, and so on, ``shown`` in all."""
    cycle = [*range(frames), *range(frames - 2, 0, -1)]
    return tuple(cycle[number % len(cycle)] for number in range(shown))


@dataclass(frozen=True)
class Swapped:
    """A mosaic of two columns whose tiles change places at half time."""

    name: str
    mosaic: Annotated

    @property
    def objects(self) -> tuple[int, ...]:
        """Those of the mosaic."""
        return self.mosaic.objects

    def __len__(self) -> int:
        """Number of frames of the mosaic."""
        return len(self.mosaic)

    def read(self) -> Iterator[AnnotatedFrame]:
        """See ``Annotated.read``."""
        for number, frame in enumerate(self.mosaic.read()):
            half = frame.image.shape[1] // 2 if number >= len(self) // 2 else 0
            image = np.roll(frame.image, half, axis=1)
            yield AnnotatedFrame(frame.name, image, np.roll(frame.masks, half, axis=2))


def _first(sequence: Annotated, most: int) -> Annotated:
    """The first frames of a sequence."""
    if len(sequence) <= most:
        return sequence
    return Changed(sequence.name, sequence, _same, tuple(range(most)))


def _changed(sequence: Annotated, kind: str, seed: int) -> Annotated:
    name = f"{sequence.name}_{kind}"
    if kind == "plain":
        return sequence
    if kind == "twin":
        return Twin(name, sequence)
    if kind == "long":
        return Changed(name, sequence, _same, there_and_back(len(sequence), 3 * len(sequence)))
    if kind == "drops":
        return Changed(name, sequence, _same, tuple(range(0, len(sequence), KEPT)))
    change: Change = {
        "occluder": partial(occlude, frames=len(sequence), seed=seed),
        "noise": partial(add_noise, seed=seed),
        "light": partial(vary_light, seed=seed),
    }[kind]
    return Changed(name, sequence, change)


MOSAICS = ("mosaic", "blank", "swap")
"""Kinds that join several sequences."""

KINDS = ("plain", "twin", "long", "drops", "occluder", "noise", "light", *MOSAICS)
"""What can be done to sequences:

========  ============================================================================
plain     nothing
twin      the sequence beside itself, some frames later, which is not asked for
long      there and back until three times as many frames are shown
drops     one frame of three
occluder  a striped board crosses the image and hides what is behind it
noise     noise on every pixel
light     brightness swings
mosaic    2x2 mosaics
blank     the same with tiles that go blank and come back
swap      the same with columns that change places at half time
========  ============================================================================
"""


def make_harder(
    sequences: Sequence[Annotated], kind: str, most: int = 60, seed: int = 0
) -> list[Annotated]:
    """The sequences of a kind made from the first ``most`` frames of each of these.

    Raises InputError if they are too short to go blank.
    """
    short = [_first(sequence, most) for sequence in sequences]
    if kind not in MOSAICS:
        return [_changed(each, kind, seed + number) for number, each in enumerate(short)]
    mosaics = make_mosaics(short, Grid(2, 2), SIZE, seed if kind == "blank" else None)
    if kind == "swap":
        return [Swapped(f"swap_{each.name}", each) for each in mosaics]
    return mosaics
