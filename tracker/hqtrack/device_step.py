"""A frame of HQTrack whose masks stay on the device until the one to report is chosen."""

from typing import NamedTuple

import torch

from hqtrack import device_edges, device_masks
from hqtrack.compute.transfer import to_host
from hqtrack.refiner import MaskRefiner
from hqtrack.rules import SelectionRules
from hqtrack.segmenter import Segmented, VideoObjectSegmenter
from hqtrack.selection import Selection
from hqtrack.types import Image, Masks


class DeviceStep(NamedTuple):
    """Coarse masks and confidence, the refined masks [N,H,W], and the choice, on the host."""

    coarse: Segmented
    refined: Masks
    selection: Selection


def stays_on_device(segmenter: VideoObjectSegmenter, refiner: MaskRefiner | None) -> bool:
    """Whether ``segment_and_refine`` is faster than the same on arrays, and can do it.

    Windows are cut on the host.
    """
    if refiner is None or refiner.windows is not None:
        return False
    return device_edges.is_faster_on(segmenter.device)


@torch.inference_mode()
def segment_and_refine(
    segmenter: VideoObjectSegmenter, refiner: MaskRefiner, image: Image, rules: SelectionRules
) -> DeviceStep:
    """Propagate, refine and select, as one after the other do on arrays.

    The host waits twice: for the boxes of the coarse masks, and for everything at the end. If the
    rules drop what cannot be, it waits for the labels, too, because it drops on the host.
    """
    found, coarse = segmenter.launch(image), None
    labels = found.labels
    if segmenter.changes_masks:
        coarse = segmenter.settle(*to_host(*found))
        labels = segmenter.labels
    masks = device_masks.labels_to_masks(labels, len(found.confidence))
    candidates = refiner.refine_on_device(image, masks)
    confident = found.confidence if rules.confident_first else None
    selected = device_masks.select_masks(
        masks, *candidates, rules.min_iou, rules.nearest, confident
    )
    best = device_masks.best_candidates(*candidates)
    if coarse is not None:
        refined, *chosen = to_host(best, *selected)
    else:
        label_map, confidence, seen, refined, *chosen = to_host(*found, masks, best, *selected)
        coarse = segmenter.settle(label_map, confidence, seen)
    return DeviceStep(coarse, refined, Selection(*chosen))
