"""Mosaics of sequences: many objects on real frames, with exact masks.

Every tile of a grid shows one sequence, resized to the tile. A mosaic ends with its shortest
sequence. Tiles can go blank for a while: they show a flat grey and their objects are absent. The
hidden sequence continues, so an object usually returns at another place.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from hqtrack.errors import InputError
from hqtrack.scoring.annotated import Annotated, AnnotatedFrame
from hqtrack.types import Image, Masks

SIZE = (480, 854)
"""Default height and width of a mosaic."""

_MIN_TILE = 16
_GREY = 127
_ABSENCE = 11
"""Frames; the toolkit measures absence only of objects that are absent for more than ten frames."""


class Grid(NamedTuple):
    """The number of columns and rows of tiles."""

    columns: int
    rows: int

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return self.columns * self.rows

    def __str__(self) -> str:
        """COLUMNSxROWS."""
        return f"{self.columns}x{self.rows}"


class Tile(NamedTuple):
    """A rectangle of the frame in pixels; ``bottom`` and ``right`` are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def area(self) -> tuple[slice, slice]:
        """The index that selects the tile in an array [H,W]."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def lay_out(grid: Grid, size: tuple[int, int]) -> list[Tile]:
    """The tiles, row after row, that cover a frame of ``size`` (height, width).

    They are equally large, except for one pixel if the size is not divisible. Raises InputError if
    a side of a tile would have less than 16 pixels.
    """
    if size[0] < grid.rows * _MIN_TILE or size[1] < grid.columns * _MIN_TILE:
        raise InputError(
            f"{grid} tiles do not fit {size[1]}x{size[0]} pixels: a tile needs {_MIN_TILE}x"
            f"{_MIN_TILE}; give a larger size or fewer tiles"
        )
    ys = [size[0] * row // grid.rows for row in range(grid.rows + 1)]
    xs = [size[1] * column // grid.columns for column in range(grid.columns + 1)]
    return [
        Tile(ys[row], xs[column], ys[row + 1], xs[column + 1])
        for row in range(grid.rows)
        for column in range(grid.columns)
    ]


def deal(sequences: int, tiles: int) -> list[tuple[int, ...]]:
    """The sequence, counted from 0, that each tile of each mosaic shows.

    The sequences fill the tiles in turn until all are used equally often and the last mosaic is
    full.
    """
    mosaics = sequences // math.gcd(sequences, tiles)
    return [
        tuple((mosaic * tiles + tile) % sequences for tile in range(tiles))
        for mosaic in range(mosaics)
    ]


def blank_schedule(seed: int, tiles: int, frames: int) -> NDArray[np.bool_]:
    """Whether a tile is blank on a frame, [``frames``,``tiles``].

    Each tile is blank once, for a quarter to a third of the frames and at least 11 of them, and
    visible in the eighth of the frames at the beginning and at the end. The same seed gives the
    same schedule. Raises InputError for less than 15 frames.
    """
    margin = max(frames // 8, 2)
    shortest = max(frames // 4, _ABSENCE)
    longest = max(frames // 3, shortest)
    if frames < shortest + 2 * margin:
        raise InputError(
            f"{frames} frames are too few for tiles that go blank and come back: use sequences of "
            f"at least {_ABSENCE + 4} frames"
        )
    rng = Generator(PCG64(seed))
    blank = np.zeros((frames, tiles), np.bool_)
    for tile in range(tiles):
        length = min(int(rng.integers(shortest, longest + 1)), frames - 2 * margin)
        start = int(rng.integers(margin, frames - margin - length + 1))
        blank[start : start + length, tile] = True
    return blank


@dataclass(frozen=True)
class Mosaic:
    """Sequences in the tiles of a grid; an ``Annotated`` that makes its frames on demand.

    If several tiles show the same sequence, every second of them is mirrored. The objects are those
    of the tiles, in the order of the tiles. ``blank_seed`` is the seed of ``blank_schedule``; with
    None no tile goes blank. ``size`` is (height, width).
    """

    name: str
    sequences: tuple[Annotated, ...]
    grid: Grid
    size: tuple[int, int] = SIZE
    blank_seed: int | None = None

    @property
    def objects(self) -> tuple[int, ...]:
        """1, 2, ..."""
        return tuple(range(1, sum(len(shown.objects) for shown in self.sequences) + 1))

    def __len__(self) -> int:
        """The number of frames of the shortest sequence."""
        return min(map(len, self.sequences))

    def read(self) -> Iterator[AnnotatedFrame]:
        """See ``Annotated.read``; also raises InputError if an object is too small for its tile."""
        tiles = lay_out(self.grid, self.size)
        mirrored = [self.sequences[:i].count(shown) % 2 for i, shown in enumerate(self.sequences)]
        blank = np.zeros((len(self), len(tiles)), np.bool_)
        if self.blank_seed is not None:
            blank = blank_schedule(self.blank_seed, len(tiles), len(self))
        together = zip(*(shown.read() for shown in self.sequences), strict=False)
        for index, (frames, hidden) in enumerate(zip(together, blank, strict=False)):
            image = np.full((*self.size, 3), _GREY, np.uint8)
            masks = np.zeros((len(self.objects), *self.size), np.bool_)
            void = np.zeros(self.size, np.bool_)
            first = 0
            for tile, frame, flip, gone in zip(tiles, frames, mirrored, hidden, strict=True):
                count = len(frame.masks)
                if not gone:
                    fitted = _fit(frame, tile, bool(flip))
                    image[tile.area], inside, void[tile.area] = fitted
                    masks[(slice(first, first + count), *tile.area)] = inside
                first += count
            if index == 0:
                self._check_visible(masks)
            yield AnnotatedFrame(f"{index + 1:08d}", image, masks, void if void.any() else None)

    def _check_visible(self, masks: Masks) -> None:
        shown = [sequence.name for sequence in self.sequences for _ in sequence.objects]
        lost = {name for name, mask in zip(shown, masks, strict=True) if not mask.any()}
        if lost:
            raise InputError(
                f"an object of {', '.join(sorted(lost))} is too small for a tile of {self.grid} in "
                f"{self.size[1]}x{self.size[0]}: give a larger size or fewer tiles"
            )


def make_mosaics(
    sequences: Sequence[Annotated],
    grid: Grid,
    size: tuple[int, int] = SIZE,
    blank_seed: int | None = None,
) -> list[Annotated]:
    """Mosaics that together use each sequence equally often; see ``deal`` and ``Mosaic``.

    Each further mosaic uses the next blank seed. Raises InputError if tiles would be too small, or
    sequences too short to go blank.
    """
    lay_out(grid, size)
    mosaics: list[Annotated] = []
    for index, shown in enumerate(deal(len(sequences), grid.tiles)):
        seed = None if blank_seed is None else blank_seed + index
        name = f"{grid}_{'blank_' * (seed is not None)}{index + 1:02d}"
        mosaics.append(Mosaic(name, tuple(sequences[i] for i in shown), grid, size, seed))
    if blank_seed is not None:
        for mosaic in mosaics:
            blank_schedule(blank_seed, grid.tiles, len(mosaic))
    return mosaics


def _fit(
    frame: AnnotatedFrame, tile: Tile, mirrored: bool
) -> tuple[Image, Masks, NDArray[np.bool_]]:
    """Resize image, masks and void to a tile."""
    size = (tile.right - tile.left, tile.bottom - tile.top)
    shrinks = size[0] < frame.image.shape[1]
    image = cv2.resize(
        frame.image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    masks = np.array(
        [
            cv2.resize(mask.view(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
            for mask in (*frame.masks, _void(frame))
        ],
        np.bool_,
    )
    if mirrored:
        image, masks = image[:, ::-1], masks[:, :, ::-1]
    return np.asarray(image, np.uint8), masks[:-1], masks[-1]


def _void(frame: AnnotatedFrame) -> NDArray[np.bool_]:
    """Where the frame is void, [H,W]."""
    return np.zeros(frame.image.shape[:2], np.bool_) if frame.void is None else frame.void
