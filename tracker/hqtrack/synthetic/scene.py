"""Deterministic synthetic sequences: textured objects on a textured background, with exact masks.

The same seed and arguments give the same bytes. Objects move, turn, grow, shrink and bend
smoothly. They cross each other, leave the frame and return. Some share shape and texture with
another object. Seeds from RESERVED_SEED on are reserved for demonstration and measuring; training
never uses them.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from hqtrack.errors import InputError
from hqtrack.synthetic.motion import Movement, curve, ways
from hqtrack.synthetic.textures import Colours, Sprite, sprite, texture
from hqtrack.types import Image, LabelMap

MAX_OBJECTS = 12
FRAMES, SIZE, OBJECTS = 40, (180, 320), 3
"""Defaults; SIZE is (height, width) in pixels."""

RESERVED_SEED = 1_000_000
"""Training never uses seeds from here on."""

DEMO_SEEDS = tuple(range(RESERVED_SEED, RESERVED_SEED + 6))
"""Seeds of the demonstration workspace; training never uses them."""


@dataclass(frozen=True)
class Scene:
    """The difficulty of a sequence. Probabilities are per object, in [0, 1].

    Attributes:
        bystanders: number of moving distractors that look like objects but have no label.
        look_alike: probability that an object copies shape and texture of an earlier one.
        crossing: probability that an object meets an earlier one.
        leaving: probability that an object leaves the frame for a while.
        speed: 1 moves an object by about 1 to 4 % of the short side per frame.
        deformation: 1 bends and stretches by up to about a quarter of the object; 0 is rigid.
        camera: largest shift of the background, as a fraction of the short side.
        noise: standard deviation of the sensor noise, in grey levels.
        blur: whether the lens smooths the image (the masks stay sharp).
    """

    bystanders: int = 1
    look_alike: float = 0.3
    crossing: float = 0.5
    leaving: float = 0.25
    speed: float = 1.0
    deformation: float = 1.0
    camera: float = 0.2
    noise: float = 3.0
    blur: bool = True


class SyntheticSequence(NamedTuple):
    """images [F,H,W,3] uint8 RGB and masks [F,H,W] int32 label maps.

    Label k + 1 marks the visible part of object k; 0 is background. Every object is visible on
    the first frame.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.int32]


class _Shot(NamedTuple):
    """What is drawn; see ``generate``."""

    frames: int
    size: tuple[int, int]
    objects: int
    scene: Scene


class _Actor(NamedTuple):
    """A moving object or distractor.

    Its poses [F,7]: x, y, radius in pixels, angle in radians, stretch, bend, ripple.
    """

    sprite: Sprite
    label: int
    poses: NDArray[np.float32]


def generate(
    seed: int,
    frames: int = FRAMES,
    size: tuple[int, int] = SIZE,
    objects: int = OBJECTS,
    scene: Scene = Scene(),
) -> SyntheticSequence:
    """Draw a sequence.

    Args:
        seed: at least 0; from RESERVED_SEED on for demonstration and measuring only.
        frames: at least 1.
        size: (height, width) in pixels, at least 48 each.
        objects: 1 to 12.
        scene: difficulty.

    Raises:
        InputError: an argument is out of range.
    """
    shot = _Shot(frames, size, objects, scene)
    _check(seed, shot)
    rng = Generator(PCG64(seed))
    margin = int(np.ceil(scene.camera * min(size))) + 2
    canvas = _background(rng, (size[0] + 2 * margin, size[1] + 2 * margin))
    camera = margin + (margin - 2) * np.tanh(curve(rng, frames, scene.speed, (2,), 0.7))
    camera = camera + np.clip(rng.normal(0.0, 0.3, (frames, 2)) * (scene.camera > 0), -1.0, 1.0)
    gain = 1.0 + 0.08 * np.tanh(curve(rng, frames, 1.0, (1,), 0.8))[:, 0]
    actors = _cast(rng, shot)
    images = np.empty((frames, *size, 3), np.uint8)
    masks = np.zeros((frames, *size), np.int32)
    for frame in range(frames):
        picture = _crop(canvas, camera[frame], size)
        for actor in actors:
            _draw(picture, masks[frame], actor, frame)
        images[frame] = _expose(rng, picture, float(gain[frame]), scene)
    return SyntheticSequence(images, masks)


def _check(seed: int, shot: _Shot) -> None:
    frames, size, objects, scene = shot
    if seed < 0:
        raise InputError(f"seed {seed} is negative: give 0 or more")
    if frames < 1:
        raise InputError(f"{frames} frames: give at least 1")
    if min(size) < 48:
        raise InputError(f"size {size[1]}x{size[0]}: width and height must be at least 48 pixels")
    if not 1 <= objects <= MAX_OBJECTS:
        raise InputError(f"{objects} objects: give 1 to {MAX_OBJECTS}")
    if scene.speed <= 0.0:
        raise InputError(f"speed {scene.speed}: give a positive number")


def _background(rng: Generator, shape: tuple[int, int]) -> Colours:
    """A texture with a few static shapes on it."""
    canvas = texture(rng, shape)
    unlabelled = np.zeros(shape, np.int32)
    for _ in range(int(rng.integers(0, 6))):
        radius = rng.uniform(0.08, 0.3) * min(shape)
        x, y = rng.uniform(0.0, 1.0, 2) * shape[::-1]
        pose = [x, y, radius, rng.uniform(0.0, 2.0 * np.pi), 1.0, 0.0, 0.0]
        thing = _Actor(sprite(rng, _side(radius)), 0, np.array([pose], np.float32))
        _draw(canvas, unlabelled, thing, 0)
    return canvas


def _side(radius: float) -> int:
    return int(np.clip(2.4 * radius, 24, 320))


def _cast(rng: Generator, shot: _Shot) -> list[_Actor]:
    """All actors, the farthest first; every object is well visible on the first frame."""
    shrink = min(1.0, (3.0 / shot.objects) ** 0.5)
    while True:
        actors = _try_cast(rng, shot, shrink)
        if _all_visible(actors, shot.size, shot.objects):
            return actors
        shrink *= 0.93
        if shrink * min(shot.size) < 4.0:
            height, width = shot.size
            raise InputError(
                f"{shot.objects} objects do not fit a frame of {width}x{height}: give a larger size"
            )


def _try_cast(rng: Generator, shot: _Shot, shrink: float) -> list[_Actor]:
    frames, size, objects, scene = shot
    short = float(min(size))
    total = objects + scene.bystanders
    radii = shrink * short * np.exp(rng.uniform(np.log(0.12), np.log(0.34), total))
    sprites: list[Sprite] = []
    for index in range(total):
        if index and rng.uniform() < scene.look_alike:
            original = int(rng.integers(index))
            sprites.append(sprites[original])
            radii[index] = radii[original] * rng.uniform(0.85, 1.15)
        else:
            sprites.append(sprite(rng, _side(radii[index])))
    movement = Movement(scene.speed, scene.crossing, scene.leaving)
    centres = ways(rng, frames, size, radii, movement)
    actors = []
    for index, centre in enumerate(centres):
        label = index + 1 if index < objects else 0
        walk = curve(rng, frames, scene.speed, (5,), 0.5)
        radius = radii[index] * np.exp(0.3 * np.tanh(walk[:, 0]))
        angle = rng.uniform(0.0, 2.0 * np.pi) + walk[:, 1]
        shape = scene.deformation * np.tanh(walk[:, 2:]) * [0.25, 0.25, 0.12] + [1.0, 0.0, 0.0]
        poses = np.column_stack([centre, radius, angle, shape]).astype(np.float32)
        actors.append(_Actor(sprites[index], label, poses))
    return [actors[index] for index in rng.permutation(total)]


def _all_visible(actors: list[_Actor], size: tuple[int, int], objects: int) -> bool:
    """Whether at least half of each object, and 16 pixels, are visible on the first frame."""
    labels: LabelMap = np.zeros(size, np.int32)
    blank = np.zeros((*size, 3), np.float32)
    whole = np.zeros(objects + 1)
    for actor in actors:
        _draw(blank, labels, actor, 0)
        area = float(actor.sprite.alpha.mean()) * (2.0 * float(actor.poses[0, 2])) ** 2
        whole[actor.label] = area
    seen = np.bincount(labels.ravel(), minlength=objects + 1)
    return bool((seen[1:] >= np.maximum(0.5 * whole[1:], 16.0)).all())


def _draw(picture: Colours, labels: LabelMap, actor: _Actor, frame: int) -> None:
    """Paint the actor over the picture [H,W,3] and its label over the labels [H,W], in place."""
    height, width = labels.shape
    cx, cy, radius, _, stretch, bend, ripple = actor.poses[frame].tolist()
    reach = 1.42 * radius * max(stretch, 1.0 / stretch) * (1.0 + abs(bend) + abs(ripple))
    left, top = max(int(cx - reach), 0), max(int(cy - reach), 0)
    right, bottom = min(int(cx + reach) + 2, width), min(int(cy + reach) + 2, height)
    if left >= right or top >= bottom:
        return
    side = len(actor.sprite.alpha)
    row, column = _sprite_places(actor.poses[frame], side, (top, bottom), (left, right))
    i, j = np.rint(row).astype(np.intp), np.rint(column).astype(np.intp)
    inside = (i >= 0) & (i < side) & (j >= 0) & (j < side)
    inside[inside] = actor.sprite.alpha[i[inside], j[inside]]
    picture[top:bottom, left:right][inside] = _bilinear(
        actor.sprite.colours, row[inside], column[inside]
    )
    labels[top:bottom, left:right][inside] = actor.label


def _sprite_places(
    pose: NDArray[np.float32], side: int, rows: tuple[int, int], columns: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Row and column [h,w] in a sprite of `side` pixels for each pixel of a part of the frame."""
    cx, cy, radius, angle, stretch, bend, ripple = pose
    x = (np.arange(*columns, dtype=np.float32) - cx) / radius
    y = (np.arange(*rows, dtype=np.float32) - cy)[:, None] / radius
    u = (np.cos(angle) * x + np.sin(angle) * y) / stretch
    v = (np.cos(angle) * y - np.sin(angle) * x) * stretch
    v = v - bend * (u * u - np.float32(0.33))
    u = u - ripple * np.sin(np.float32(4.0) * v + np.float32(2.0) * bend)
    half = np.float32(side / 2)
    return (v + 1) * half - np.float32(0.5), (u + 1) * half - np.float32(0.5)


def _bilinear(colours: Colours, row: NDArray[np.float32], column: NDArray[np.float32]) -> Colours:
    """Interpolate colours [S,S,3] at fractional places [n]; returns [n,3]."""
    limit = np.float32(len(colours) - 1)
    row, column = np.clip(row, 0.0, limit), np.clip(column, 0.0, limit)
    i, j = row.astype(np.intp), column.astype(np.intp)
    down, right = np.minimum(i + 1, int(limit)), np.minimum(j + 1, int(limit))
    fi, fj = (row - i)[:, None], (column - j)[:, None]
    upper = colours[i, j] * (1 - fj) + colours[i, right] * fj
    lower = colours[down, j] * (1 - fj) + colours[down, right] * fj
    mixed: Colours = (upper * (1 - fi) + lower * fi).astype(np.float32)
    return mixed


def _crop(canvas: Colours, corner: NDArray[np.float64], size: tuple[int, int]) -> Colours:
    """The part of the canvas that starts at corner (x, y), with subpixel precision."""
    x, y = np.clip(corner, 0.0, np.array(canvas.shape[1::-1]) - np.array(size[::-1]) - 1.0)
    left, top = int(x), int(y)
    fx, fy = np.float32(x - left), np.float32(y - top)
    part = canvas[top : top + size[0] + 1, left : left + size[1] + 1]
    rows: Colours = part[:-1] + fy * (part[1:] - part[:-1])
    return np.asarray(rows[:, :-1] + fx * (rows[:, 1:] - rows[:, :-1]))


def _expose(rng: Generator, picture: Colours, gain: float, scene: Scene) -> Image:
    """Simulate the camera: lens blur, brightness, noise, 8 bits."""
    if scene.blur:
        padded = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="edge")
        rows = padded[:-2] + 2.0 * padded[1:-1] + padded[2:]
        picture = (rows[:, :-2] + 2.0 * rows[:, 1:-1] + rows[:, 2:]) / np.float32(16.0)
    noise = rng.standard_normal(picture.shape, np.float32) * np.float32(scene.noise)
    return np.clip(picture * np.float32(gain) + noise + 0.5, 0.0, 255.0).astype(np.uint8)
