"""Losses of a segmentation.

They ignore pixels with the label `VOID`. A mean over a batch ignores frames with no other label; it
is 0 if there are no others.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from training.data.sources import VOID
from vmos.ops import one_hot


def known_frames(labels: Tensor) -> Tensor:
    """Which frames of label maps [B,h,w] have labels at all: [B] float32 of 0 and 1."""
    return (labels != VOID).flatten(1).any(dim=1).float()


def bootstrapped_cross_entropy(logits: Tensor, labels: Tensor, share: float) -> Tensor:
    """Mean cross entropy of the hardest `share` of the pixels of each frame.

    Args:
        logits: [B,C,h,w].
        labels: [B,h,w] int64.
        share: in (0, 1]; 1 is the ordinary mean.
    """
    losses = F.cross_entropy(logits, labels, reduction="none", ignore_index=VOID).flatten(1)
    pixels = (labels != VOID).flatten(1).sum(dim=1, keepdim=True)
    counted = (share * pixels).round().clamp_min(1)
    most = max(1, round(share * losses.shape[1]))
    hardest = losses.topk(most, dim=1).values
    inside = torch.arange(most, device=losses.device) < counted
    return _mean((hardest * inside).sum(dim=1) / counted[:, 0], known_frames(labels))


def soft_jaccard(logits: Tensor, labels: Tensor) -> Tensor:
    """1 - J with probabilities instead of masks: mean over the objects present, then over B.

    A frame without objects counts 0.

    Args:
        logits: [B,C,h,w]; channel 0 is the background, which does not count.
        labels: [B,h,w] int64.
    """
    known = (labels != VOID).flatten(1)[:, None]
    probabilities = logits.softmax(dim=1)[:, 1:].flatten(2) * known
    truth = one_hot(labels, logits.shape[1] - 1)[:, 1:].flatten(2)
    overlap = (probabilities * truth).sum(dim=2)
    union = (probabilities + truth).sum(dim=2) - overlap
    there = truth.any(dim=2)
    losses = (1 - overlap / union.clamp_min(1e-6)) * there
    mean = losses.sum(dim=1) / there.sum(dim=1).clamp_min(1)
    return _mean(mean, known_frames(labels))


def transport_loss(carried: Tensor, truth: Tensor) -> Tensor:
    """Cross entropy of labels that attention weights alone carry, against the true labels.

    Args:
        carried: [B,N,C], for each token a distribution over labels.
        truth: [B,N,C], the share of each label in the token's area. Void pixels have no share, so
            the token counts less.
    """
    return -(truth * carried.clamp_min(1e-4).log()).sum(dim=2).mean()


def mean_jaccard(labels: Tensor, truth: Tensor, objects: int) -> Tensor:
    """Region similarity J of label maps [B,h,w]: mean over the objects present, then over B.

    Labels are at most `objects`. A frame without objects counts 1.
    """
    labels = torch.where(truth == VOID, VOID, labels)
    predicted, wanted = (one_hot(maps, objects)[:, 1:].flatten(2) for maps in (labels, truth))
    overlap = (predicted * wanted).sum(dim=2)
    union = (predicted + wanted).sum(dim=2) - overlap
    there = wanted.any(dim=2)
    scores = overlap / union.clamp_min(1) * there
    count = there.sum(dim=1)
    mean = torch.where(count > 0, scores.sum(dim=1) / count.clamp_min(1), 1.0)
    return _mean(mean, known_frames(truth))


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of values [B]; 0 where all weights are 0."""
    return (values * weights).sum() / weights.sum().clamp_min(1)
