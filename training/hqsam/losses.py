"""Losses of masks at points, most of them where the network is uncertain."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

POINTS = 112 * 112
"""Number of points of a mask at which the losses are computed."""

_OVERSAMPLING = 3
_RANDOM_SHARE = 0.25


class MaskLoss(NamedTuple):
    """Means over the masks of binary cross entropy and of dice loss; scalars."""

    cross_entropy: Tensor
    dice: Tensor


class Candidates(NamedTuple):
    """Random points (x, y) in [0, 1] of one mask [N,2] or of B masks [B,N,2].

    pool: points to choose from, three times as many as needed. certain: points that are used in
    any case.
    """

    pool: Tensor
    certain: Tensor


def random_points(generator: torch.Generator, count: int = POINTS) -> Candidates:
    """Candidates for `count` points of one mask, on the CPU."""
    pool = torch.rand(_OVERSAMPLING * count, 2, generator=generator)
    return Candidates(pool, torch.rand(round(_RANDOM_SHARE * count), 2, generator=generator))


def mask_loss(logits: Tensor, targets: Tensor, candidates: Candidates) -> MaskLoss:
    """Cross entropy and dice at points, three quarters of them where the network is uncertain.

    Args:
        logits: [B,1,h,w].
        targets: [B,1,H,W], the share of the object in each pixel, in [0, 1]; any size.
        candidates: candidates of B masks.
    """
    points = choose_points(logits.detach(), candidates)
    predicted, wanted = sample(logits, points), sample(targets, points)
    cross_entropy = F.binary_cross_entropy_with_logits(predicted, wanted)
    probability = predicted.sigmoid()
    overlap = (probability * wanted).sum(dim=1)
    total = probability.sum(dim=1) + wanted.sum(dim=1)
    return MaskLoss(cross_entropy, (1 - (2 * overlap + 1) / (total + 1)).mean())


def choose_points(logits: Tensor, candidates: Candidates) -> Tensor:
    """The points [B,P,2]: those of the pool with logits nearest to 0, and the certain ones.

    As in PointRend (Kirillov et al., 2020, section 3.1).
    """
    pool, certain = candidates
    wanted = pool.shape[1] // _OVERSAMPLING - certain.shape[1]
    doubtful = sample(logits, pool).abs().topk(wanted, dim=1, largest=False).indices
    return torch.cat([pool.gather(1, doubtful[..., None].expand(-1, -1, 2)), certain], dim=1)


def sample(maps: Tensor, points: Tensor) -> Tensor:
    """Bilinear values [B,P] of maps [B,1,H,W] at points [B,P,2], (x, y) in [0, 1]."""
    return F.grid_sample(maps, 2 * points[:, :, None] - 1, align_corners=False)[:, 0, :, 0]
