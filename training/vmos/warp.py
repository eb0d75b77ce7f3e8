"""Random geometry and colours for training clips: affine motion, smooth deformation, jitter."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from hqtrack.types import Image, LabelMap
from training.data.sources import is_object

Affine = NDArray[np.float64]
"""[2,3], maps (x, y) of the source to (x, y) of the target, in pixels."""


def affine(
    centre: tuple[float, float],
    target: tuple[float, float],
    angle: float,
    scale: float,
    shear: float,
) -> Affine:
    """Rotate by `angle` radians, scale, shear, and move `centre` to `target`, both (x, y)."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * turn @ np.array([[1.0, shear], [0.0, 1.0]])
    return np.column_stack([linear, np.array(target) - linear @ np.array(centre)])


def motion(rng: Generator, frames: int, extent: float, strength: float) -> list[tuple[float, ...]]:
    """A random walk of poses from zero: per frame (dx, dy, angle, log scale, shear).

    Shifts are relative to `extent`, in pixels.
    """
    deviations = np.array((0.12 * extent, 0.12 * extent, 0.15, 0.10, 0.05)) * strength
    velocity = rng.normal(0, 1, 5) * deviations
    steps = velocity + rng.normal(0, 0.6, (frames - 1, 5)) * deviations
    poses = np.concatenate([np.zeros((1, 5)), np.cumsum(steps, axis=0)])
    poses[:, 3] = np.clip(poses[:, 3], -0.5, 0.5)
    return [tuple(pose) for pose in poses.tolist()]


def deformation(rng: Generator, size: tuple[int, int], strength: float) -> NDArray[np.float32]:
    """A smooth random displacement field [h,w,2] of about `strength` pixels."""
    coarse = rng.normal(0, strength, (4, 4, 2)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def sample(
    image: Image,
    labels: LabelMap,
    forward: Affine,
    size: tuple[int, int],
    field: NDArray[np.float32] | None = None,
    border: int = cv2.BORDER_CONSTANT,
) -> tuple[Image, LabelMap]:
    """Warp image and labels by an affine map and then a displacement field, to `size`.

    Labels are sampled by nearest neighbour; outside the image they are 0.
    """
    inverse = cv2.invertAffineTransform(forward).astype(np.float32)
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    if field is not None:
        columns, rows = columns + field[..., 0], rows + field[..., 1]
    x = inverse[0, 0] * columns + inverse[0, 1] * rows + inverse[0, 2]
    y = inverse[1, 0] * columns + inverse[1, 1] * rows + inverse[1, 2]
    picture = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=border)
    plane = labels.astype(np.uint16)
    seen = cv2.remap(plane, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(picture, np.uint8), np.asarray(seen, np.int32)


def colour_map(rng: Generator, strength: float) -> NDArray[np.float32]:
    """A random change of gain, offset, saturation and tint, sometimes to grey.

    [3,4] float32, an affine map of colours: `map @ (red, green, blue, 1)`, in 0..255.
    """
    gain = 1 + strength * rng.uniform(-1, 1)
    tint = 1 + 0.4 * strength * rng.uniform(-1, 1, 3)
    offset = 60 * strength * rng.uniform(-1, 1)
    grey = 1.0 if rng.random() < 0.05 else strength * rng.uniform(-1, 1)
    mixed = (1 - grey) * np.eye(3) + grey / 3
    colour = np.column_stack([(gain * tint)[:, None] * mixed, np.full(3, offset)])
    return colour.astype(np.float32)


def hide(rng: Generator, images: Image, labels: LabelMap) -> tuple[Image, LabelMap]:
    """Paint over one object of a clip for a while with a flat colour, or sometimes over the frame.

    Takes images [F,h,w,3] and label maps [F,h,w]. The first and the last frame do not change, so
    the tracker has to find the hidden object again. Painted pixels have label 0.
    """
    present = np.unique(labels[is_object(labels)])
    if len(images) < 3 or not len(present):
        return images, labels
    images, labels = images.copy(), labels.copy()
    hidden = rng.choice(present)
    first = int(rng.integers(1, len(images) - 1))
    last = int(rng.integers(first, len(images) - 1))
    colour = rng.integers(0, 256, 3)
    everything = rng.random() < 0.3
    margin = int(rng.integers(0, images.shape[1] // 8))
    for frame in range(first, last + 1):
        rows, columns = np.nonzero(labels[frame] == hidden)
        if everything:
            where = np.s_[:, :]
        elif len(rows):
            top, left = max(rows.min() - margin, 0), max(columns.min() - margin, 0)
            where = np.s_[top : rows.max() + margin + 1, left : columns.max() + margin + 1]
        else:
            continue
        images[frame][where], labels[frame][where] = colour, 0
    return images, labels
