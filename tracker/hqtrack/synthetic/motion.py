"""Smooth random curves for synthetic sequences, as pure functions of a random generator."""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

_KNOT_FRAMES = 12.0
"""Frames between two knots of a curve with speed 1."""


class Movement(NamedTuple):
    """How things move about.

    speed: 1 moves a thing by about 1 to 4 % of the short side per frame. crossing: probability in
    [0, 1] that a thing meets one before it. leaving: probability that it leaves the frame once.
    """

    speed: float
    crossing: float
    leaving: float


def curve(
    rng: Generator, frames: int, speed: float, shape: tuple[int, ...], step: float
) -> NDArray[np.float64]:
    """A smooth random walk that starts near 0, [frames, *shape].

    `step` is the standard deviation of its step between two knots.
    """
    knots = rng.normal(0.0, step, (_knots(frames, speed), *shape)).cumsum(axis=0)
    return _spline(knots, frames, speed)


def _knots(frames: int, speed: float) -> int:
    return int((frames - 1) * speed / _KNOT_FRAMES) + 2


def _spline(knots: NDArray[np.float64], frames: int, speed: float) -> NDArray[np.float64]:
    """Catmull-Rom curve through knots [M,C], one value per frame, [frames,C]."""
    time = np.arange(frames) * speed / _KNOT_FRAMES
    index = time.astype(int)
    t = (time - index)[:, None]
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    a, b, c, d = (padded[index + i] for i in range(4))
    curve: NDArray[np.float64] = b + 0.5 * t * (
        c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a))
    )
    return curve


def ways(
    rng: Generator,
    frames: int,
    size: tuple[int, int],
    radii: NDArray[np.float64],
    movement: Movement,
) -> list[NDArray[np.float64]]:
    """Centres over time, [F,2] as (x, y), one array per thing."""
    extent = np.array(size[::-1], np.float64)
    count = _knots(frames, movement.speed)
    knots = np.empty((len(radii), count, 2))
    for index, radius in enumerate(radii):
        knots[index, 0] = _free_spot(rng, extent, knots[:index, 0], radii[: index + 1])
        for knot in range(1, count):
            angle = rng.uniform(0.0, 2.0 * np.pi)
            step = rng.uniform(0.1, 0.5) * extent.min() * np.array([np.cos(angle), np.sin(angle)])
            inset = min(0.6 * radius, 0.4 * extent.min())
            knots[index, knot] = _reflect(knots[index, knot - 1] + step, inset, extent - inset)
        if index and rng.uniform() < movement.crossing:
            meeting = int(rng.integers(1, count))
            knots[index, meeting] = knots[rng.integers(index), meeting]
        if rng.uniform() < movement.leaving:
            exit_knot = int(rng.integers(1, count))
            knots[index, exit_knot] = _outside(knots[index, exit_knot], radius, extent)
    return [_spline(way, frames, movement.speed) for way in knots]


def _free_spot(
    rng: Generator,
    extent: NDArray[np.float64],
    taken: NDArray[np.float64],
    radii: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The one of 24 random places that is farthest from those taken, measured in radii."""
    inset = np.minimum(0.8 * radii[-1], 0.4 * extent)
    spots = rng.uniform(inset, extent - inset, (24, 2))
    if not len(taken):
        return np.asarray(spots[0])
    distance = np.linalg.norm(spots[:, None] - taken[None], axis=-1)
    room = (distance / (radii[:-1] + radii[-1])).min(axis=1)
    return np.asarray(spots[int(room.argmax())])


def _reflect(
    point: NDArray[np.float64], low: float, high: NDArray[np.float64]
) -> NDArray[np.float64]:
    point = np.where(point < low, 2 * low - point, point)
    return np.asarray(np.clip(np.where(point > high, 2 * high - point, point), low, high))


def _outside(
    point: NDArray[np.float64], radius: float, extent: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The place beyond the nearest border where the object is entirely outside the frame."""
    gaps = np.concatenate([point, extent - point])
    side = int(gaps.argmin())
    away = point.copy()
    reach = 2.2 * radius
    away[side % 2] = -reach if side < 2 else extent[side % 2] + reach
    return away
