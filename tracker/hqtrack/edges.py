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
"""Rows and columns of pixels."""

SOFTNESS = 5e-4
"""Variance of colours in [0, 1] below which the filter smooths rather than follows an edge."""

_SIDE = 3
"""Side in places of the square over which the filter takes means."""

_REACH = 2
"""Places from an edge up to which the filter changes what was found: it takes means twice."""

_LONGEST = 2**15 - 1
"""OpenCV cannot enlarge to more pixels."""


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
    guide = guide_of(image, (found.shape[1], found.shape[2]))
    most_probable = np.argmax([1 - found.sum(axis=0), *found], axis=0)
    numbers = np.unique(most_probable[most_probable > 0])
    rims = {number: _rim(most_probable == number) for number in numbers}
    rims = {number: rim for number, rim in rims.items() if rim.any()}
    if not rims:  # there is no object, or one that fills the frame
        return labels
    seen = _area_of(np.logical_or.reduce(list(rims.values())), labels.shape)
    decided = np.zeros(labels[seen].shape, np.bool_)
    nobody, best = np.ones(decided.shape, np.float32), np.zeros(decided.shape, np.float32)
    chosen = np.zeros_like(labels[seen])
    for number, rim in rims.items():
        area = _area_of(rim, labels.shape)
        near = _moved(rim.view(np.uint8), labels.shape, area, cv2.INTER_NEAREST) > 0
        probability = np.where(near, filtered(found[number - 1], guide, area), 0)
        inside = _within(area, seen)
        better = probability > best[inside]
        chosen[inside][better] = number
        best[inside][better] = probability[better]
        nobody[inside] -= probability
        decided[inside] |= near
    chosen[nobody >= best] = 0
    if len(numbers) < len(found):
        others = np.setdiff1d(np.arange(1, len(found) + 1), numbers)
        decided &= ~np.isin(labels[seen], others)
    followed = labels.copy()
    followed[seen] = np.where(decided, chosen, labels[seen])
    return followed


class Guide(NamedTuple):
    """What the filter knows of an image.

    Attributes:
        image: [H,W,3] uint8.
        colours: three planes [h,w] in [0, 1], at the places.
        means: three planes, of the colours around each place.
        inverse: three times three planes, of the covariance of the colours around each place.
    """

    image: Image
    colours: Sequence[Plane]
    means: Sequence[Plane]
    inverse: Sequence[Sequence[Plane]]


def guide_of(image: Image, size: tuple[int, int]) -> Guide:
    """What the filter with (h, w) places knows of an image [H,W,3]."""
    height, width = (
        2 * round((pixels / places - 1) / 2) + 1 if pixels > places else 1
        for pixels, places in zip(image.shape, size, strict=False)
    )
    colours = _planes(at_places(cv2.blur(image, (width, height)), size))
    means = [_mean(colour) for colour in colours]
    covariance = [
        [_mean(a * b) - mean_a * mean_b for b, mean_b in zip(colours, means, strict=True)]
        for a, mean_a in zip(colours, means, strict=True)
    ]
    for index in range(3):
        covariance[index][index] += SOFTNESS
    return Guide(image, colours, means, _inverse(covariance))


def at_places(image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """An image [H,W] or [H,W,3] at (h, w) places, without a mean of what is between them."""
    return _moved(image, size, (slice(0, size[0]), slice(0, size[1])))


def filtered(values: Plane, guide: Guide, area: Area | None = None) -> Plane:
    """Values [h,w] at the pixels of an area of the image, or of all of it, with its edges."""
    height, width, _ = guide.image.shape
    area = area or (slice(0, height), slice(0, width))
    functions = _functions(values, guide)
    *factors, constant = (_moved(plane, (height, width), area) for plane in functions)
    return constant + _product(factors, _planes(guide.image[area]))


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


def _rim(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The places near the edge of a mask [h,w], in it or outside."""
    side = 2 * _REACH + 1
    square = np.ones((side, side), np.uint8)
    return cv2.dilate(mask.view(np.uint8), square) > cv2.erode(mask.view(np.uint8), square)


def _area_of(places: NDArray[np.bool_], size: Sequence[int]) -> Area:
    """An area of an image of `size` (H, W) with all pixels nearest to some places."""
    rows, columns = (
        _side_of(np.flatnonzero(places.any(axis=1 - axis)), places.shape[axis], size[axis])
        for axis in range(2)
    )
    return rows, columns


def _side_of(lines: NDArray[np.int64], count: int, pixels: int) -> slice:
    """The pixels of which some lines of `count` are the nearest, and perhaps one more."""
    step = (pixels - 1) / max(count - 1, 1)
    begin, end = math.floor((lines[0] - 0.5) * step), math.ceil((lines[-1] + 0.5) * step)
    return slice(max(begin, 0), min(end + 1, pixels))


def _within(area: Area, other: Area) -> Area:
    """The same pixels, counted from the corner of another area that contains them."""
    rows, columns = (
        slice(side.start - begin.start, side.stop - begin.start)
        for side, begin in zip(area, other, strict=True)
    )
    return rows, columns


def _moved(
    image: NDArray[Any], size: Sequence[int], area: Area, method: int = cv2.INTER_LINEAR
) -> NDArray[Any]:
    """An area of an image that is resized to `size` (H, W), corner on corner."""
    steps = [(m - 1) / max(n - 1, 1) for n, m in zip(size, image.shape, strict=False)]
    (y, height), (x, width) = ((side.start, side.stop - side.start) for side in area)
    move = np.array([[steps[1], 0, x * steps[1]], [0, steps[0], y * steps[0]]])
    flags = method | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE
    return cv2.warpAffine(image, move, (width, height), flags=flags, borderMode=border)


def _planes(image: Image) -> Sequence[Plane]:
    """The three colours of an image, in [0, 1]."""
    return [np.divide(plane, 255, dtype=np.float32) for plane in cv2.split(image)]


def _mean(plane: Plane) -> Plane:
    """The means over the square around each place."""
    mean: Plane = cv2.blur(plane, (_SIDE, _SIDE))  # type: ignore[assignment]
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
