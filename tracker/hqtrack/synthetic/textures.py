"""Random textures and shapes for synthetic sequences, as pure functions of a random generator.

Colours are float32 in 0..255. Textures repeat without a seam if the pattern allows it.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.float32]
"""[H,W] in 0..1."""

Colours: TypeAlias = NDArray[np.float32]
"""[H,W,3] or [n,3] RGB in 0..255."""


class Sprite(NamedTuple):
    """An object in its own square: its colours [S,S,3], and alpha [S,S], True on the object."""

    colours: Colours
    alpha: NDArray[np.bool_]


def noise(rng: Generator, shape: tuple[int, int], slope: float) -> Field:
    """Noise whose amplitude falls as frequency ** -slope: 0 is white, 1 grainy, 2 cloudy."""
    height, width = shape
    fy = np.fft.fftfreq(height)[:, None] * height
    fx = np.fft.rfftfreq(width)[None, :] * width
    amplitude = np.maximum(np.hypot(fy, fx), 1.0) ** -(slope + 0.5)
    amplitude[0, 0] = 0.0
    phases = rng.standard_normal((2, *amplitude.shape))
    values = np.fft.irfft2(amplitude * (phases[0] + 1j * phases[1]), s=shape)
    values *= 0.25 / max(float(values.std()), 1e-12)
    return np.clip(values + 0.5, 0.0, 1.0).astype(np.float32)


def palette(rng: Generator, colours: int) -> Colours:
    """Colours of one hue family with an occasional outlier, darkest first."""
    hue = rng.uniform() + rng.normal(0.0, 0.08, colours) + (rng.uniform(size=colours) < 0.2) * 0.5
    saturation = np.clip(rng.uniform(0.05, 0.7) + rng.normal(0.0, 0.12, colours), 0.0, 0.95)
    low = rng.uniform(0.08, 0.6)
    value = np.sort(rng.uniform(low, min(1.0, low + rng.uniform(0.25, 0.8)), colours))
    sector = (np.array([5.0, 3.0, 1.0]) + 6.0 * hue[:, None]) % 6.0
    chroma = (value * saturation)[:, None]
    rgb = value[:, None] - chroma * np.clip(np.minimum(sector, 4.0 - sector), 0.0, 1.0)
    return np.asarray(255.0 * rgb, np.float32)


def _grid(shape: tuple[int, int]) -> tuple[Field, Field]:
    """Coordinates x, y; the short side spans 0..1."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    short = float(min(shape))
    return x / short, y / short


def _turned(rng: Generator, shape: tuple[int, int]) -> tuple[Field, Field]:
    x, y = _grid(shape)
    angle = rng.uniform(0.0, np.pi)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * x + s * y, c * y - s * x


def _clouds(rng: Generator, shape: tuple[int, int]) -> Field:
    return noise(rng, shape, rng.uniform(1.2, 2.2))


def _grain(rng: Generator, shape: tuple[int, int]) -> Field:
    return noise(rng, shape, rng.uniform(0.4, 1.0))


def _gradient(rng: Generator, shape: tuple[int, int]) -> Field:
    along, _ = _turned(rng, shape)
    span = max(float(np.ptp(along)), 1e-6)
    return np.asarray((along - along.min()) / np.float32(span))


def _stripes(rng: Generator, shape: tuple[int, int]) -> Field:
    along, _ = _turned(rng, shape)
    warp = np.float32(rng.uniform(0.0, 0.25)) * noise(rng, shape, 2.0)
    wave = np.sin(2.0 * np.pi * np.float32(rng.uniform(3.0, 11.0)) * (along + warp))
    return np.asarray(np.clip(0.5 + rng.uniform(0.5, 3.0) * wave, 0.0, 1.0), np.float32)


def _checks(rng: Generator, shape: tuple[int, int]) -> Field:
    along, across = _turned(rng, shape)
    cells = np.float32(rng.uniform(3.0, 9.0))
    parity = (np.floor(along * cells) + np.floor(across * cells)) % 2.0
    return np.asarray(0.1 + 0.8 * parity, np.float32)


def _bricks(rng: Generator, shape: tuple[int, int]) -> Field:
    along, across = _turned(rng, shape)
    rows = np.float32(rng.uniform(4.0, 9.0))
    row = np.floor(across * rows)
    column = along * rows / 2.0 + 0.5 * (row % 2.0)
    mortar = ((across * rows) % 1.0 < 0.15) | (column % 1.0 < 0.08)
    tone = (np.sin(row * 12.9898 + np.floor(column) * 78.233) * 43.7) % 1.0
    return np.where(mortar, 0.0, 0.35 + 0.65 * tone).astype(np.float32)


def _cells(rng: Generator, shape: tuple[int, int]) -> Field:
    x, y = _grid(shape)
    nearest = np.full(shape, np.inf, np.float32)
    seeds = rng.uniform(0.0, 1.0, (int(rng.integers(12, 40)), 2)) * [x.max(), y.max()]
    for px, py in seeds.astype(np.float32):
        np.minimum(nearest, (x - px) ** 2 + (y - py) ** 2, out=nearest)
    distance = np.sqrt(nearest)
    return np.clip(distance / np.float32(distance.max() + 1e-6), 0.0, 1.0)


def _spots(rng: Generator, shape: tuple[int, int]) -> Field:
    smooth = noise(rng, shape, rng.uniform(1.0, 1.6))
    edge = np.float32(rng.uniform(0.4, 0.6))
    return np.asarray(np.clip(0.5 + 12.0 * (smooth - edge), 0.0, 1.0), np.float32)


_PATTERNS: tuple[Callable[[Generator, tuple[int, int]], Field], ...] = (
    _clouds,
    _clouds,
    _grain,
    _gradient,
    _stripes,
    _checks,
    _bricks,
    _cells,
    _spots,
)


def _plain(rng: Generator, shape: tuple[int, int]) -> Colours:
    values = _PATTERNS[int(rng.integers(len(_PATTERNS)))](rng, shape)
    colours = palette(rng, int(rng.integers(2, 5)))
    stops = np.linspace(0.0, 1.0, len(colours))
    painted = np.stack([np.interp(values, stops, channel) for channel in colours.T], axis=-1)
    return painted.astype(np.float32)


def texture(rng: Generator, shape: tuple[int, int]) -> Colours:
    """One pattern, or two patterns with a wavy border between them, with grain and uneven light.

    Args:
        rng: random generator.
        shape: (height, width) in pixels.

    Returns:
        [H,W,3] RGB, 0..255.
    """
    colours = _plain(rng, shape)
    if rng.uniform() < 0.5:
        region = noise(rng, shape, 1.9) > rng.uniform(0.4, 0.6)
        colours = np.where(region[..., None], _plain(rng, shape), colours)
    light = 1.0 + rng.uniform(0.1, 0.5) * (noise(rng, shape, 2.2) - 0.5)
    grain = rng.uniform(2.0, 22.0) * (noise(rng, shape, rng.uniform(0.0, 0.9)) - 0.5)
    lit = colours * light[..., None] + 4.0 * grain[..., None]
    return np.asarray(np.clip(lit, 0.0, 255.0), np.float32)


def _outline(rng: Generator, kind: str, angle: Field) -> Field:
    """Distance from the centre to the border, at most 1, for every angle (radians)."""
    if kind == "polygon":
        sector = 2.0 * np.pi / int(rng.integers(3, 8))
        radius = np.cos(sector / 2) / np.cos(angle % sector - sector / 2)
    elif kind == "star":
        sector = 2.0 * np.pi / int(rng.integers(4, 9))
        tip = np.abs(angle % sector / sector * 2.0 - 1.0)
        radius = 1.0 - (1.0 - tip) * rng.uniform(0.35, 0.6)
    else:
        radius = np.ones_like(angle)
        for harmonic in range(2, 7):
            phase = rng.uniform(0.0, 2.0 * np.pi)
            radius = radius + rng.normal(0.0, 0.5 / harmonic) * np.cos(harmonic * angle + phase)
        radius = np.maximum(radius, 0.25)
        radius = radius / radius.max()
    return np.asarray(radius, np.float32)


def _rod(u: Field, v: Field, length: float, half_width: float) -> NDArray[np.bool_]:
    """A rod with round ends, centred, along u."""
    along = np.maximum(np.abs(u) - (length - half_width), 0.0)
    return along**2 + v**2 <= half_width**2


def _limbed(rng: Generator, u: Field, v: Field) -> NDArray[np.bool_]:
    """A body with head and limbs."""
    body = (u / rng.uniform(0.4, 0.6)) ** 2 + (v / rng.uniform(0.22, 0.4)) ** 2 <= 1.0
    for angle in rng.uniform(0.0, 2.0 * np.pi, int(rng.integers(3, 7))):
        c, s = np.cos(angle), np.sin(angle)
        along, across = c * u + s * v, c * v - s * u
        width, length = rng.uniform(0.07, 0.12), rng.uniform(0.6, 0.95)
        body |= _rod(along - length / 2, across, length / 2, width)
    head = rng.uniform(0.18, 0.26)
    return np.asarray(body | (np.hypot(u - 0.6, v + rng.uniform(-0.25, 0.25)) <= head))


SHAPES = ("ellipse", "polygon", "star", "blob", "rod", "ring", "cross", "limbed")


def shape_mask(rng: Generator, kind: str, side: int) -> NDArray[np.bool_]:
    """A shape of a kind of SHAPES that roughly fills a square of `side` pixels; [side,side]."""
    axis = (np.arange(side, dtype=np.float32) + 0.5) / np.float32(side / 2) - 1.0
    v, u = np.meshgrid(axis, axis, indexing="ij")
    if kind == "rod":
        return _rod(u, v, 1.0, rng.uniform(0.08, 0.16))
    if kind == "cross":
        arm = rng.uniform(0.16, 0.3)
        return _rod(u, v, 1.0, arm) | _rod(v, u, rng.uniform(0.6, 1.0), arm)
    if kind == "limbed":
        return _limbed(rng, u, v)
    v = v / np.float32(rng.uniform(0.45, 1.0))
    reach = np.hypot(u, v)
    if kind == "ellipse":
        return np.asarray(reach <= 1.0)
    if kind == "ring":
        return np.asarray((reach <= 1.0) & (reach >= rng.uniform(0.5, 0.7)))
    return np.asarray(reach <= _outline(rng, kind, np.arctan2(v, u).astype(np.float32)))


def sprite(rng: Generator, side: int) -> Sprite:
    """A random shape with a random texture, lit from one side, in a square of `side` pixels."""
    kind = SHAPES[int(rng.integers(len(SHAPES)))]
    light = 0.75 + 0.45 * _gradient(rng, (side, side))
    colours = np.clip(texture(rng, (side, side)) * light[..., None], 0.0, 255.0)
    return Sprite(colours.astype(np.float32), shape_mask(rng, kind, side))
