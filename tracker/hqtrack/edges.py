"""Edges: masks that follow the edges of the image, which is finer than the network's output.

The guided filter (He, Sun and Tang, *Guided Image Filtering*, 2013) takes what the network found as
a linear function of the colours around each place. The image at its full size then says where
between two places the edge is. The outer places lie on the outer pixels of the image.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from hqtrack.types import Image

Plane: TypeAlias = NDArray[np.float32]

Area: TypeAlias = tuple[slice, slice]
"""Rows and columns."""

SOFTNESS = 5e-4
"""Variance of colours in [0, 1] below which the filter smooths rather than follows an edge."""

SIDE = 3
"""Side in places of the square over which the filter takes means."""

REACH = 2
"""Places from an edge up to which the filter changes what was found: it takes means twice."""

_MARGIN = 1 + 2 * (SIDE // 2)
"""Places up to which the value at a pixel depends on others: it lies between two, and means are
taken twice."""

_LONGEST = 2**15 - 1
"""The longest side that OpenCV can resize, in pixels."""

_ROW = 4096
"""OpenCV looks pixels up in rows of so many; any length does."""


def follow_image(labels: NDArray[np.integer], found: Plane, image: Image) -> NDArray[np.integer]:
    """The labels with edges where the image has them.

    Only pixels near the edge of an object are decided again, by the filtered probabilities of the
    objects there. An object that is nowhere the most probable stays as it is.

    Args:
        labels: [H,W]; n + 1 marks object n.
        found: [N,h,w], the probability of each object at each place.
        image: [H,W,3].
    """
    if max(labels.shape) > _LONGEST:
        return labels
    most_probable = _most_probable(found)
    numbers = np.unique(most_probable[most_probable > 0])
    rims = {number: _rim(most_probable == number) for number in numbers}
    near = np.logical_or.reduce([np.zeros(most_probable.shape, np.bool_), *rims.values()])
    if not near.any():  # there is no object, or one that fills the frame
        return labels
    guide = guide_of(image, near.shape, _area_around(near))
    pixels = _pixels_near(near, labels.shape)
    best, together = np.zeros((2, len(pixels.number)), np.float32)
    chosen = np.zeros(len(pixels.number), labels.dtype)
    for number, rim in rims.items():
        some = np.flatnonzero(rim.ravel()[pixels.place])
        probability = _filtered_at(pixels.take(some), found[number - 1], guide)
        together[some] += probability
        better = probability > best[some]
        best[some[better]], chosen[some[better]] = probability[better], number
    chosen[1 - together >= best] = 0
    decided = np.isin(labels.ravel()[pixels.number], [0, *numbers])
    followed = labels.copy()
    followed.ravel()[pixels.number[decided]] = chosen[decided]
    return followed


class Guide(NamedTuple):
    """What the filter knows of an image.

    Attributes:
        image: [H,W,3] uint8.
        area: the places of which it knows the rest.
        colours: three planes of these places in [0, 1].
        means: three planes, of the colours around each place.
        inverse: three times three planes, of the covariance of the colours around each place.
    """

    image: Image
    area: Area
    colours: Sequence[Plane]
    means: Sequence[Plane]
    inverse: Sequence[Sequence[Plane]]


def guide_of(image: Image, size: Sequence[int], area: Area | None = None) -> Guide:
    """What the filter with (h, w) places knows of an image [H,W,3], in an area or everywhere."""
    area = area or _all_of(size)
    steps = _steps(size, image.shape)
    height, width = squares_of(size, image.shape)
    rows, columns = (
        slice(
            max(math.floor(side.start * step) - more, 0),
            math.ceil((side.stop - 1) * step) + more + 1,
        )
        for side, step, more in zip(area, steps, (height, width), strict=True)
    )
    smooth = cv2.blur(image[rows, columns], (2 * width + 1, 2 * height + 1))
    colours = _planes(_moved(smooth, steps, area, (rows.start, columns.start)))
    means = [_mean(colour) for colour in colours]
    covariance = [
        [_mean(a * b) - mean_a * mean_b for b, mean_b in zip(colours, means, strict=True)]
        for a, mean_a in zip(colours, means, strict=True)
    ]
    for index in range(3):
        covariance[index][index] += SOFTNESS
    return Guide(image, area, colours, means, _inverse(covariance))


def squares_of(size: Sequence[int], pixels: Sequence[int]) -> tuple[int, int]:
    """How far the pixels that (h, w) places stand for reach up and down, left and right."""
    down, across = (max(round((m / n - 1) / 2), 0) for n, m in zip(size, pixels, strict=False))
    return down, across


def at_places(image: NDArray[Any], size: Sequence[int]) -> NDArray[Any]:
    """An image [H,W] or [H,W,3] at (h, w) places, without a mean of what is between them."""
    return _moved(image, _steps(size, image.shape), _all_of(size))


def filtered(values: Plane, guide: Guide) -> Plane:
    """Values [h,w] at all pixels of the image, with its edges; the guide knows all places."""
    size = guide.image.shape[:2]
    steps = _steps(size, values.shape)
    *factors, constant = (
        _moved(plane, steps, _all_of(size)) for plane in _functions(values, guide)
    )
    return constant + _product(factors, _planes(guide.image))


class _Pixels(NamedTuple):
    """Some pixels.

    Attributes:
        number: [N], counted row by row.
        place: [N], the number of the nearest place.
        row, column: [N], in places.
    """

    number: NDArray[np.int64]
    place: NDArray[np.int64]
    row: Plane
    column: Plane

    def take(self, some: NDArray[np.int64]) -> "_Pixels":
        """Some of them."""
        return _Pixels(self.number[some], self.place[some], self.row[some], self.column[some])


def _pixels_near(places: NDArray[np.bool_], size: Sequence[int]) -> _Pixels:
    """The pixels of an image of `size` (H, W) of which some places [h,w] are the nearest."""
    rows, row, near_row = _lines_near(np.any(places, axis=1), size[0])
    columns, column, near_column = _lines_near(np.any(places, axis=0), size[1])
    y, x = np.nonzero(places[np.ix_(near_row, near_column)])
    number = rows[y] * size[1] + columns[x]
    place = near_row[y] * places.shape[1] + near_column[x]
    return _Pixels(number, place, row[y], column[x])


def _lines_near(
    places: NDArray[np.bool_], size: int
) -> tuple[NDArray[np.int64], Plane, NDArray[np.int64]]:
    """Of `size` lines of pixels those of which some lines of places [h] are the nearest.

    Returns their numbers, where they are in places, and the nearest lines of places.
    """
    at = np.arange(size) * ((len(places) - 1) / max(size - 1, 1))
    nearest = np.rint(at).astype(np.int64)
    lines = np.flatnonzero(places[nearest])
    return lines, at[lines].astype(np.float32), nearest[lines]


def _filtered_at(pixels: _Pixels, values: Plane, guide: Guide) -> Plane:
    """Values [h,w] at some pixels [N] of the image, with its edges."""
    functions = cv2.merge(_functions(values[guide.area], guide))
    count = len(pixels.number)
    row, column = (
        np.resize(at - side.start, (count // _ROW + 1, _ROW))
        for at, side in zip((pixels.row, pixels.column), guide.area, strict=True)
    )
    found = cv2.remap(functions, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    *factors, constant = found.reshape(-1, 4)[:count].T
    colours = guide.image.reshape(-1, 3)[pixels.number]
    return constant + _product(
        factors, [np.divide(one, 255, dtype=np.float32) for one in colours.T]
    )


def _functions(values: Plane, guide: Guide) -> list[Plane]:
    """What gives values [h,w] as a linear function of the colours around each place.

    Returns four planes [h,w]: the factors of red, green and blue, and the constant.
    """
    mean = _mean(values)
    shared = [
        _mean(values * colour) - mean * mean_colour
        for colour, mean_colour in zip(guide.colours, guide.means, strict=True)
    ]
    factors = [_product(row, shared) for row in guide.inverse]
    return [_mean(plane) for plane in (*factors, mean - _product(factors, guide.means))]


def _most_probable(found: Plane) -> NDArray[np.int32]:
    """The number of the most probable object at each place, n + 1 for object n; 0 for none."""
    best = 1 - found.sum(axis=0)
    numbers = np.zeros(best.shape, np.int32)
    for number, probability in enumerate(found, start=1):
        numbers[probability > best] = number
        best = np.maximum(best, probability)
    return numbers


def _rim(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The places near the edge of a mask [h,w], in it or outside."""
    side = 2 * REACH + 1
    square = np.ones((side, side), np.uint8)
    return cv2.dilate(mask.view(np.uint8), square) > cv2.erode(mask.view(np.uint8), square)


def _area_around(places: NDArray[np.bool_]) -> Area:
    """All places on which the values at pixels near some places [h,w] depend."""
    x, y, width, height = cv2.boundingRect(places.view(np.uint8))
    rows = slice(max(y - _MARGIN, 0), min(y + height + _MARGIN, places.shape[0]))
    columns = slice(max(x - _MARGIN, 0), min(x + width + _MARGIN, places.shape[1]))
    return rows, columns


def _all_of(size: Sequence[int]) -> Area:
    """The area of everything."""
    return slice(0, size[0]), slice(0, size[1])


def _steps(size: Sequence[int], other: Sequence[int]) -> tuple[float, float]:
    """How far rows and columns of a grid of `size` are apart on a grid of another size."""
    down, across = ((m - 1) / max(n - 1, 1) for n, m in zip(size, other, strict=False))
    return down, across


def _moved(
    image: NDArray[Any], steps: tuple[float, float], area: Area, corner: tuple[int, int] = (0, 0)
) -> NDArray[Any]:
    """An area of a grid over an image, of which `image` is the part that begins at `corner`.

    Rows and columns of the grid are `steps` pixels apart.
    """
    (y, height), (x, width) = ((side.start, side.stop - side.start) for side in area)
    down, across = steps
    move = np.array([[across, 0, x * across - corner[1]], [0, down, y * down - corner[0]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE
    return cv2.warpAffine(image, move, (width, height), flags=flags, borderMode=border)


def _planes(image: Image) -> Sequence[Plane]:
    """The three colours of an image, in [0, 1]."""
    return [np.divide(plane, 255, dtype=np.float32) for plane in cv2.split(image)]


def _mean(plane: Plane) -> Plane:
    """The means over the square around each place."""
    mean: Plane = cv2.blur(plane, (SIDE, SIDE))  # type: ignore[assignment]
    return mean


def _product(a: Sequence[Plane], b: Sequence[Plane]) -> Plane:
    """The sum of the products of planes."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _inverse(matrix: Sequence[Sequence[Plane]]) -> list[list[Plane]]:
    """The inverse of three times three planes, at each place."""
    adjoint = [
        [
            matrix[(j + 1) % 3][(i + 1) % 3] * matrix[(j + 2) % 3][(i + 2) % 3]
            - matrix[(j + 1) % 3][(i + 2) % 3] * matrix[(j + 2) % 3][(i + 1) % 3]
            for j in range(3)
        ]
        for i in range(3)
    ]
    determinant = _product(matrix[0], [row[0] for row in adjoint])
    return [[np.divide(plane, determinant) for plane in row] for row in adjoint]
