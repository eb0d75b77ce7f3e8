"""Turns the logits of groups of objects into one label map and a confidence per object.

The published program makes the channels of missing objects impossible. Here these channels do not
exist: a group has one channel per object, and one for the background.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from vmos.ops import Size, resize

# Aggregated probabilities stay this far from 0 and 1.
MARGIN = 1e-5


FEW = 8
"""Up to so many channels are enlarged and compared one by one, which is faster on a CPU."""


def favour_objects(logits: Tensor, bias: float) -> Tensor:
    """Logits [B,M+1,h,w] with `bias` added to all but the first channel, the background."""
    if not bias:
        return logits
    return torch.cat([logits[:, :1], logits[:, 1:] + bias], dim=1)


def aggregate(probabilities: Sequence[Tensor]) -> Tensor:
    """Merge groups, each of which sees the objects of the others as background.

    Args:
        probabilities: per group [1,M+1,h,w], channel 0 the background.

    Returns:
        Logits [1,N+1,h,w] of the N objects of all groups. The probability of the background is the
        product of all backgrounds. Every probability stays `MARGIN` away from 0 and 1 (AOT).
    """
    background = torch.stack([part[:, :1] for part in probabilities]).prod(dim=0)
    joined = torch.cat([background, *(part[:, 1:] for part in probabilities)], dim=1)
    return joined.clamp(MARGIN, 1 - MARGIN).logit()


def decode_labels(logits: Sequence[Tensor], size: Size) -> Tensor:
    """The most probable label of every pixel.

    Args:
        logits: per group [1,M+1,h,w].
        size: (H, W) of the frame, to which the logits are enlarged first.

    Returns:
        [H,W] int64; 0 is background, n + 1 object n, with groups in order. The first maximum wins,
        as in an argmax over `aggregate`. Only one group is enlarged at a time.
    """
    if len(logits) == 1:
        return _first_maximum(logits[0], size)
    background = logits[0].new_ones(tuple(size))
    best = logits[0].new_full(tuple(size), -1.0)
    labels = torch.zeros(tuple(size), dtype=torch.long, device=logits[0].device)
    first = 1
    for part in logits:
        probabilities = resize(part, size).softmax(dim=1)[0]
        background *= probabilities[0]
        top, channel = probabilities[1:].clamp(MARGIN, 1 - MARGIN).max(dim=0)
        better = top > best
        best = torch.where(better, top, best)
        labels = torch.where(better, first + channel, labels)
        first += part.shape[1] - 1
    return labels.masked_fill(background.clamp(MARGIN, 1 - MARGIN) >= best, 0)


def _first_maximum(grid: Tensor, size: Size) -> Tensor:
    """The channel of the maximum of [1,C,h,w] enlarged to `size` (H, W), [H,W] int64."""
    if grid.shape[1] > FEW:
        return resize(grid, size).argmax(dim=1)[0]
    channels = (resize(channel[None, None], size)[0, 0] for channel in grid[0])
    best = next(channels)
    labels = torch.zeros(best.shape, dtype=torch.int16, device=best.device)
    for number, channel in enumerate(channels, start=1):
        labels.masked_fill_(channel > best, number)
        best = torch.maximum(best, channel)
    return labels.long()


def object_probabilities(logits: Sequence[Tensor]) -> Tensor:
    """Probability of every object at the head's resolution, [N,h,w], float32.

    Takes the logits of each group [1,M+1,h,w].
    """
    parts = [part.float().softmax(dim=1) for part in logits]
    joined = parts[0] if len(parts) == 1 else aggregate(parts).softmax(dim=1)
    return joined[0, 1:]


def finer_probabilities(logits: Sequence[Tensor]) -> Tensor:
    """`object_probabilities` at twice the head's resolution, [N,2h-1,2w-1]."""
    height, width = logits[0].shape[-2:]
    return object_probabilities([resize(part, (2 * height - 1, 2 * width - 1)) for part in logits])


def confidences(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Agreement of each mask with its probability map.

    This is the IoU of probability and mask: the probability inside the mask, divided by the mask's
    area plus the probability outside. It is 1 for a certain object. It falls if the network doubts
    pixels inside the mask or suspects the object elsewhere. It is 0 for an object without a pixel
    at (h, w).

    Args:
        probabilities: [N,h,w] in [0, 1].
        labels: [H,W], any size; n + 1 marks object n. They are compared at (h, w).

    Returns:
        [N] float32 in [0, 1].
    """
    size = probabilities.shape[-2:]
    small = F.interpolate(labels[None, None].float(), size=size, mode="nearest")[0]
    numbers = torch.arange(1, len(probabilities) + 1, device=labels.device)
    masks = (small == numbers[:, None, None]).float()
    inside = (probabilities * masks).sum(dim=(1, 2))
    union = masks.sum(dim=(1, 2)) + probabilities.sum(dim=(1, 2)) - inside
    return (inside / union.clamp_min(1e-6)).clamp(0, 1)
