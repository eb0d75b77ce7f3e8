"""The mask refiner: HQ-SAM, prompted with the box of each object's mask (HQTrack, Mask Refiner)."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hqsam import HQSam
from hqtrack.masks import check_image, check_masks, mask_boxes
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
        check_image(image)
        check_masks(masks, image)
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
