"""The mask refiner: HQ-SAM, prompted with the box of each object's mask (HQTrack, Mask Refiner)."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hqsam import HQSam
from hqtrack.errors import InputError
from hqtrack.masks import mask_boxes
from hqtrack.types import Image, Masks, Scores

_BOXES_AT_ONCE = 10


class Candidates(NamedTuple):
    """What HQ-SAM proposes instead of each object's mask.

    masks: [N,K,H,W], K = 1: the best-scored of three SAM masks plus the HQ mask.
    scores: [N,K] the IoU that the network predicts for them; may leave [0, 1].
    """

    masks: NDArray[np.bool_]
    scores: Scores


class MaskRefiner:
    """Proposes a finer mask for each object of a frame."""

    def __init__(self, model: HQSam) -> None:
        self._model = model

    @torch.inference_mode()
    def refine(self, image: Image, masks: Masks) -> Candidates:
        """Propose a mask inside the tightest box around each object, as seen in the image.

        The image is encoded once, and not at all where every mask is empty. An empty mask gets an
        empty candidate with score 0. Raises InputError where image or masks have another shape or
        type than `hqtrack.types` says.
        """
        _check(image, masks)
        boxes = mask_boxes(masks)
        seen = np.flatnonzero(~np.isnan(boxes[:, 0]))
        candidates = Candidates(
            np.zeros((len(masks), 1, *masks.shape[1:]), np.bool_),
            np.zeros((len(masks), 1), np.float32),
        )
        if not len(seen):
            return candidates
        device = next(self._model.parameters()).device
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            embedding = self._model.embed(torch.tensor(np.ascontiguousarray(image)))
        for start in range(0, len(seen), _BOXES_AT_ONCE):
            chunk = seen[start : start + _BOXES_AT_ONCE]
            logits, scores = self._model.predict(embedding, boxes=torch.tensor(boxes[chunk]))
            found = self._model.to_image(logits, embedding) > 0
            candidates.masks[chunk] = found.cpu().numpy()
            candidates.scores[chunk] = scores.float().cpu().numpy()
        return candidates


def _check(image: Image, masks: Masks) -> None:
    """Raise InputError unless image [H,W,3] uint8 and masks [N,H,W] bool belong together."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise InputError(
            f"the image is {list(image.shape)} of type {image.dtype}: give [H,W,3] uint8, RGB"
        )
    if masks.dtype != np.bool_ or masks.ndim != 3:
        raise InputError(
            f"the masks are {list(masks.shape)} of type {masks.dtype}: give [N,H,W] bool, one mask "
            "per object"
        )
    if masks.shape[1:] != image.shape[:2]:
        raise InputError(
            f"the masks are of size {masks.shape[1:]}, the image is of size {image.shape[:2]} "
            "(height, width): give masks of the image's own size"
        )
