"""Turns a frame and its masks into the network's input, as the released HQTrack does."""

import math
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from hqtrack.compute.transfer import to_device
from hqtrack.noise import denoised
from hqtrack.types import Image, LabelMap, Scores

MEAN = np.array((0.485, 0.456, 0.406))
DEVIATION = np.array((0.229, 0.224, 0.225))

# The normalised value of each of the 256 grey levels per channel, [3,256].
LEVELS = ((np.arange(256) / 255 - MEAN[:, None]) / DEVIATION[:, None]).astype(np.float32)


def network_size(
    height: int, width: int, min_short_edge: int, max_long_edge: int, stride: int
) -> tuple[int, int]:
    """Size (h, w) at which a frame of `height` x `width` pixels enters the network.

    The short edge is enlarged to `min_short_edge`, then the long edge is reduced to
    `max_long_edge`. Both are rounded, half to even, to a multiple of `stride` plus 1, so the long
    edge may exceed its limit, and the aspect ratio changes by up to half a stride. No side is
    shorter than `stride` + 1, even for a long and thin frame.
    """
    sides = np.array((height, width), dtype=np.float64)
    if sides.min() < min_short_edge:
        sides = min_short_edge / sides.min() * sides
    if sides.max() > max_long_edge:
        sides = max_long_edge / sides.max() * sides
    steps = np.around((sides.astype(np.int64) - 1) / stride).astype(np.int64)
    h, w = np.maximum(steps, 1) * stride + 1
    return int(h), int(w)


def long_edge_for(
    areas: Scores, size: tuple[int, int], least: int, most: int, small_object: int
) -> int:
    """The long edge, in pixels, at which a video is tracked whose first objects have these areas.

    Args:
        areas: [N], pixels of the frame; objects without a pixel do not count.
        size: (height, width) of the frame.
        least, most: the range of the result; `least` if `most` is smaller.
        small_object: side of a square in pixels.

    Returns:
        The edge at which the median object is as large as that square, within the range.
    """
    seen = areas[areas > 0]
    if not len(seen) or most <= least:
        return least
    share = float(np.median(np.sqrt(seen))) / max(size)
    return round(min(max(small_object / share, least), most))


def normalise(image: Image) -> NDArray[np.float32]:
    """Image [h,w,3] -> [3,h,w], normalised by the mean and standard deviation of ImageNet."""
    return np.stack([LEVELS[channel][image[:, :, channel]] for channel in range(3)])


def normalise_on_device(image: Tensor) -> Tensor:
    """`normalise` of a tensor [h,w,3] uint8, on its device."""
    levels = _levels_on(image.device)
    return levels.gather(1, image.permute(2, 0, 1).flatten(1).long()).view(3, *image.shape[:2])


@cache
def _levels_on(device: torch.device) -> Tensor:
    """``LEVELS``, copied once per device."""
    with torch.inference_mode(False):
        return torch.from_numpy(LEVELS).to(device)


class Prepared(NamedTuple):
    """A frame as the network sees it, [1,3,h,w], and whether noise was removed."""

    image: Tensor
    smoothed: bool


def prepare_frame(
    image: Image, size: tuple[int, int], device: torch.device, max_noise: float
) -> Prepared:
    """Image [H,W,3] -> network input [1,3,h,w]; `size` is (h, w).

    The image is resized in 8 bits with OpenCV's bicubic filter, which is part of the published
    behaviour. More noise than `max_noise` is removed, see `hqtrack.noise`: before the image is
    enlarged, and after it is reduced, which removes noise as well.
    """
    if size[0] * size[1] > image.shape[0] * image.shape[1]:
        clean = denoised(image, max_noise)
        seen, smoothed = _resized(clean, size), clean is not image
    else:
        reduced = _resized(image, size)
        seen = denoised(reduced, max_noise)
        smoothed = seen is not reduced
    if device.type == "cuda":
        return Prepared(normalise_on_device(to_device(seen, device))[None], smoothed)
    return Prepared(torch.from_numpy(normalise(seen))[None].to(device), smoothed)


def prepare_image(image: Image, size: tuple[int, int], device: torch.device) -> Tensor:
    """`prepare_frame` as published: with its noise, and the input alone."""
    return prepare_frame(image, size, device, math.inf).image


def _resized(image: Image, size: tuple[int, int]) -> Image:
    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)


def prepare_labels(labels: LabelMap | Tensor, size: tuple[int, int]) -> Tensor:
    """Label map [H,W] -> [1,h,w] int64 at `size` (h, w), by torch's nearest neighbour."""
    plane = torch.as_tensor(labels)[None, None].float()
    return F.interpolate(plane, size=size, mode="nearest")[0].long()
