"""Simulates the labels that a drifting tracker leaves in memory, for learning to recover."""

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

COARSE = 4
"""Side of the random grid that decides where labels are damaged."""

LEAST = 0.8
"""Values above so many standard deviations are damaged: about a fifth of the picture."""

REACH = 0.15
"""Labels spill over by up to this share of the sides."""


MARGIN = 4
"""Pixels around an unknown object that are unknown, too."""


def stale(predicted: Tensor, before: Tensor) -> Tensor:
    """Predicted labels [B,h,w] and, where those are background, the labels of the frame before."""
    return torch.where(predicted > 0, predicted, before)


def damaged(predicted: Tensor, frames: Tensor, generator: Generator) -> Tensor:
    """Predicted labels [B,h,w] that lose regions of similar colour, or spill into such regions.

    Takes the normalised frames [B,3,h,w]. The random decisions are the same for all of them.
    """
    size = predicted.shape[1:]

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    place = F.interpolate(normal(1, 1, COARSE, COARSE), size, mode="bicubic")[:, 0]
    score = place.to(frames) + (normal(3, 1, 1).to(frames) * frames).sum(dim=1) / 3
    deviation, mean = torch.std_mean(score, dim=(1, 2), keepdim=True)
    region = score > mean + LEAST * deviation
    if normal().item() < 0:
        return torch.where(region, 0, predicted)
    reach = (REACH * min(size) * normal(2).clamp(-1, 1)).long().tolist()
    spilled = torch.where(predicted > 0, predicted, predicted.roll(reach, dims=(1, 2)))
    return torch.where(region, spilled, predicted)


def unknown(labels: Tensor, number: int, generator: Generator) -> Tensor:
    """Labels [B,h,w] in which one random object of each clip, with a margin, becomes `number`.

    A number above those of the objects has no identity: memory then says nothing about the place.
    """
    changed = labels.clone()
    for clip, known in zip(changed, labels, strict=True):
        present = known[(known > 0) & (known != number)].unique()
        chance = torch.rand((), generator=generator).item()
        if len(present):
            chosen = (known == present[int(chance * len(present))]).float()
            near = F.max_pool2d(chosen[None, None], 2 * MARGIN + 1, 1, MARGIN)[0, 0] > 0
            clip[near & ((known == 0) | (chosen > 0))] = number
    return changed
