"""Losses of a segmentation."""

import torch
from torch import Tensor
from torch.nn import functional as F

from vmos.ops import one_hot


def bootstrapped_cross_entropy(logits: Tensor, labels: Tensor, share: float) -> Tensor:
    """Mean cross entropy of the hardest `share` of the pixels of each frame.

    Args:
        logits: [B,C,h,w].
        labels: [B,h,w] int64.
        share: in (0, 1]; 1 is the ordinary mean.
    """
    losses = F.cross_entropy(logits, labels, reduction="none").flatten(1)
    hardest = max(1, round(share * losses.shape[1]))
    return losses.topk(hardest, dim=1).values.mean()


def soft_jaccard(logits: Tensor, labels: Tensor) -> Tensor:
    """1 - J with probabilities instead of masks: mean over the objects present, then over B.

    A frame without objects counts 0.

    Args:
        logits: [B,C,h,w]; channel 0 is the background, which does not count.
        labels: [B,h,w] int64.
    """
    probabilities = logits.softmax(dim=1)[:, 1:].flatten(2)
    truth = F.one_hot(labels, logits.shape[1]).movedim(3, 1)[:, 1:].flatten(2).float()
    overlap = (probabilities * truth).sum(dim=2)
    union = (probabilities + truth).sum(dim=2) - overlap
    there = truth.any(dim=2)
    losses = (1 - overlap / union.clamp_min(1e-6)) * there
    return (losses.sum(dim=1) / there.sum(dim=1).clamp_min(1)).mean()


def transport_loss(carried: Tensor, truth: Tensor) -> Tensor:
    """Cross entropy of labels that attention weights alone carry, against the true labels.

    Args:
        carried: [B,N,C], for each token a distribution over labels.
        truth: [B,N,C], the share of each label in the token's area.
    """
    return -(truth * carried.clamp_min(1e-4).log()).sum(dim=2).mean()


def mean_jaccard(labels: Tensor, truth: Tensor, objects: int) -> Tensor:
    """Region similarity J of label maps [B,h,w]: mean over the objects present, then over B.

    Labels are at most `objects`. A frame without objects counts 1.
    """
    predicted, wanted = (one_hot(maps, objects)[:, 1:].flatten(2) for maps in (labels, truth))
    overlap = (predicted * wanted).sum(dim=2)
    union = (predicted + wanted).sum(dim=2) - overlap
    there = wanted.any(dim=2)
    scores = overlap / union.clamp_min(1) * there
    count = there.sum(dim=1)
    return torch.where(count > 0, scores.sum(dim=1) / count.clamp_min(1), 1.0).mean()
