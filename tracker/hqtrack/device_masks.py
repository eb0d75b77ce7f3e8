"""What `hqtrack.masks` and `hqtrack.selection` do, on tensors: for masks that are on a GPU.

The results are those of the functions of the same names on arrays, bit for bit. No function waits
for the device.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hqtrack.masks import IOU_EPSILON


class Selection(NamedTuple):
    """See `hqtrack.selection.Selection`; masks [N,H,W], refined [N], iou [N] float32."""

    masks: Tensor
    refined: Tensor
    iou: Tensor


def label_type(objects: int) -> torch.dtype:
    """The smallest type that holds the labels 0 to ``objects``."""
    types = (torch.uint8, torch.int16, torch.int32)
    return next(each for each in types if objects <= torch.iinfo(each).max)


def labels_to_masks(labels: Tensor, count: int) -> Tensor:
    """The masks [``count``,H,W] of objects 0 to ``count`` - 1; higher labels are ignored."""
    kind = labels.dtype if count <= torch.iinfo(labels.dtype).max else torch.int32
    numbers = torch.arange(1, count + 1, dtype=kind, device=labels.device)
    return labels == numbers[:, None, None]


def mask_boxes(masks: Tensor) -> Tensor:
    """The tightest box around each mask, [N,4] float64; a row of NaN for an empty mask."""
    columns, rows = _ends(masks.any(dim=1)), _ends(masks.any(dim=2))
    boxes = torch.stack([columns[0], rows[0], columns[1], rows[1]], dim=1).double()
    return torch.where(boxes[:, 2:3] < 0, torch.nan, boxes)


def _ends(lines: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the last place [N] at which each line [N,L] is true; L and -1 if none is."""
    length = lines.shape[1]
    places = torch.arange(length, device=lines.device)
    first = torch.where(lines, places, length).amin(dim=1)
    return first, torch.where(lines, places, -1).amax(dim=1)


def mask_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of mask n of one stack and mask n of the other, [N] float32."""
    shared = _areas(a & b)
    union = _areas(a) + _areas(b) - shared
    epsilon = float(IOU_EPSILON)
    return (shared.float() + epsilon) / (union.float() + epsilon)


def best_candidates(candidates: Tensor, scores: Tensor) -> Tensor:
    """Of candidates [N,K,H,W] the one of each object with the highest score [N,K], [N,H,W]."""
    if candidates.shape[1] == 1:
        return candidates[:, 0]
    return candidates[torch.arange(len(candidates), device=scores.device), scores.argmax(dim=1)]


def separate_masks(masks: Tensor, confidence: Tensor | None = None) -> Tensor:
    """The masks [N,H,W] without overlap.

    A pixel goes to the lowest object index that covers it; with ``confidence`` [N] to the most
    confident object that does, the lowest index of equals.
    """
    if confidence is not None:
        order = confidence.argsort(descending=True, stable=True)
        return separate_masks(masks[order])[order.argsort()]
    labels = masks.new_zeros(masks.shape[1:], dtype=label_type(len(masks)))
    for index in reversed(range(len(masks))):
        labels.masked_fill_(masks[index], index + 1)
    return labels_to_masks(labels, len(masks))


def select_masks(
    coarse: Tensor,
    candidates: Tensor,
    scores: Tensor,
    min_iou: float = 0.1,
    nearest: bool = False,
    confidence: Tensor | None = None,
) -> Selection:
    """The masks to report; [N,H,W], [N,K,H,W] and [N,K] have to agree, K is at least 1."""
    if nearest and candidates.shape[1] > 1:
        near = [mask_iou(each, coarse) for each in candidates.unbind(1)]
        scores = torch.stack(near, dim=1)
    best = best_candidates(candidates, scores)
    iou = mask_iou(best, coarse)
    refined = (iou >= float(np.float32(min_iou))) & coarse.flatten(1).any(dim=1)
    chosen = torch.where(refined[:, None, None], best, coarse)
    return Selection(separate_masks(chosen, confidence), refined, iou)


def _areas(masks: Tensor) -> Tensor:
    return masks.flatten(1).sum(dim=1)
