"""`hqtrack.device_masks` and `hqtrack.device_edges` with arrays in and out.

The tables of the functions on arrays test them.
"""

import torch

from hqtrack import device_edges, device_masks
from hqtrack.selection import Selection


def _arrays(function):
    def on_arrays(*given):
        found = function(*map(torch.tensor, given))
        return found.numpy()

    return on_arrays


mask_boxes = _arrays(device_masks.mask_boxes)
mask_iou = _arrays(device_masks.mask_iou)
separate_masks = _arrays(device_masks.separate_masks)
follow_image = _arrays(device_edges.follow_image)


def labels_to_masks(labels, count):
    return device_masks.labels_to_masks(torch.from_numpy(labels), count).numpy()


def select_masks(coarse, candidates, scores, min_iou=0.1, nearest=False, confidence=None):
    tensors = map(torch.from_numpy, (coarse, candidates, scores))
    sure = None if confidence is None else torch.from_numpy(confidence)
    found = device_masks.select_masks(*tensors, min_iou, nearest, sure)
    return Selection(*(each.numpy() for each in found))
