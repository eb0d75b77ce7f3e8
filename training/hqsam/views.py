"""The network's input in training: a jittered view of an image and a prompt for its object.

All random numbers come from the CPU, so a view is the same on every device.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import masks_to_boxes  # type: ignore[import-untyped]
from torchvision.transforms.v2 import functional as v2  # type: ignore[import-untyped]

PADDING = 128
"""Value of the pixels outside the image."""

_CLICKS = 10
_MASK_STRIDE = 4
_BAND_STRIDE = 8


@dataclass(frozen=True)
class Jitter:
    """Large-scale jitter (Ghiasi et al., 2021): random scale, crop and mirroring.

    Attributes:
        low: smallest scale of the longest side, as a share of the network input.
        high: largest scale of the longest side.
        mirrored: share of mirrored views.
        tries: after so many views without the object, the entire image is used.
    """

    low: float = 0.1
    high: float = 2.0
    mirrored: float = 0.5
    tries: int = 10


class View(NamedTuple):
    """A square network input: pixels [3,S,S] in 0..255, target [1,S,S] in [0, 1], float32."""

    pixels: Tensor
    target: Tensor


def jittered(
    image: Tensor, matte: Tensor, side: int, jitter: Jitter, generator: torch.Generator
) -> View:
    """A random view of an image [3,H,W] with the matte of its object [H,W], both uint8.

    The view shows at least a part of the object. It is on the device of the image.
    """
    if _uniform(generator) < jitter.mirrored:
        image, matte = image.flip(2), matte.flip(1)
    for _ in range(jitter.tries):
        scale = jitter.low + (jitter.high - jitter.low) * _uniform(generator)
        offset = (_uniform(generator), _uniform(generator))
        target = _window(matte[None], side, scale, offset, padding=0)
        if target.amax() > 127:
            return View(_window(image, side, scale, offset, PADDING).float(), target / 255)
    return whole(image, matte, side)


def whole(image: Tensor, matte: Tensor, side: int) -> View:
    """The view of the entire image, with its longest side resized to `side`; see `jittered`."""
    pixels, target = (
        _window(part, side, 1.0, (0.0, 0.0), padding)
        for part, padding in ((image, PADDING), (matte[None], 0))
    )
    return View(pixels.float(), target / 255)


def _window(
    image: Tensor, side: int, scale: float, offset: tuple[float, float], padding: int
) -> Tensor:
    """Resize an image [C,H,W] so that its longest side is scale * side, crop and pad to [C,S,S].

    offset: share of the cropped pixels that are above and to the left.
    """
    factor = scale * side / max(image.shape[1:])
    size = [max(1, round(length * factor)) for length in image.shape[1:]]
    resized = v2.resize(image, size, antialias=True)
    top, left = (
        round(share * max(0, length - side)) for share, length in zip(offset, size, strict=True)
    )
    cropped = resized[:, top : top + side, left : left + side]
    right, below = side - cropped.shape[2], side - cropped.shape[1]
    return F.pad(cropped, (0, right, 0, below), value=padding)


def _uniform(generator: torch.Generator) -> float:
    return torch.rand((), generator=generator).item()


class Kind(Enum):
    """The kind of a prompt."""

    BOX = auto()
    POINTS = auto()
    MASK = auto()


class Prompt(NamedTuple):
    """A prompt in pixels (x, y) of the network input, from the centre of the top-left pixel.

    value: a box [4] left, top, right, bottom; points [10,2] in the object; or a noisy mask
    [1,S/4,S/4], 0 or 255.
    """

    kind: Kind
    value: Tensor


def draw_prompt(target: Tensor, generator: torch.Generator) -> Prompt:
    """A prompt of one of the three kinds, equally probable, for a target [1,S,S] in [0, 1].

    If the object has fewer than ten pixels, points are excluded.
    """
    inside = object_pixels(target)
    kinds = list(Kind) if inside.sum() >= _CLICKS else [Kind.BOX, Kind.MASK]
    kind = kinds[int(torch.randint(len(kinds), (), generator=generator))]
    if kind is Kind.BOX:
        return Prompt(kind, tight_box(inside))
    if kind is Kind.POINTS:
        pixels = inside[0].nonzero()
        chosen = torch.randperm(len(pixels), generator=generator)[:_CLICKS]
        return Prompt(kind, pixels[chosen.to(pixels.device)].flip(1).float())
    return Prompt(kind, noised(target, generator))


def object_pixels(target: Tensor) -> Tensor:
    """Pixels [1,S,S] that are object by more than half; if there are none, those with the most."""
    return target > min(0.5, target.amax().item() * 0.99)


def tight_box(inside: Tensor) -> Tensor:
    """Left, top, right, bottom [4] of a mask [1,S,S], inclusive pixel indices."""
    return masks_to_boxes(inside)[0].float()


def noised(target: Tensor, generator: torch.Generator) -> Tensor:
    """A mask prompt [1,S/4,S/4] of 0 and 255 whose boundary is blurred by noise.

    As in HQ-SAM's training, the boundary consists of the pixels that the mask loses when it is
    made eight times as coarse.
    """
    side = target.shape[-1] // _MASK_STRIDE
    mask = F.interpolate(target[None], (side, side), mode="bilinear")
    coarse = F.interpolate(mask, scale_factor=1 / _BAND_STRIDE, mode="bilinear")
    lost = (mask - F.interpolate(coarse, (side, side), mode="bilinear")).abs() >= 0.01
    noise = torch.randn(mask.shape, generator=generator).to(mask.device)
    return ((mask + noise * lost) > 0.5)[0].float() * 255
