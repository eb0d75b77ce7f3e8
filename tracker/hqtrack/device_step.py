"""A frame of HQTrack whose masks stay on the device until the one to report is chosen."""

from typing import NamedTuple

import torch

from hqtrack import device_masks
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

    Windows are cut, what cannot be is dropped, and edges are followed on the host.
    """
    if refiner is None or refiner.windows is not None or segmenter.device.type == "cpu":
        return False
    return not (segmenter.rules.changes_masks or segmenter.sight.sharp)


@torch.inference_mode()
def segment_and_refine(
    segmenter: VideoObjectSegmenter, refiner: MaskRefiner, image: Image, rules: SelectionRules
) -> DeviceStep:
    """Propagate, refine and select, as one after the other do on arrays.

    The host waits twice: for the boxes of the coarse masks, and for everything at the end.
    """
    found = segmenter.launch(image)
    coarse = device_masks.labels_to_masks(found.labels, len(found.confidence))
    candidates = refiner.refine_on_device(image, coarse)
    confident = found.confidence if rules.confident_first else None
    selected = device_masks.select_masks(
        coarse, *candidates, rules.min_iou, rules.nearest, confident
    )
    best = device_masks.best_candidates(*candidates)
    labels, confidence, masks, refined, *chosen = to_host(*found, coarse, best, *selected)
    return DeviceStep(segmenter.settle(labels, confidence, masks), refined, Selection(*chosen))
