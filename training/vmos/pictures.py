"""Pictures of clips for people."""

import numpy as np
from torch import Tensor

from hqtrack.masks import labels_to_masks
from hqtrack.preprocess import DEVIATION, MEAN
from hqtrack.types import Image
from hqtrack.video.overlay import draw_masks
from training.data.sources import VOID


def draw_clip(frames: Tensor, *labels: Tensor) -> Image:
    """The frames of a clip in a row, with their masks drawn on them in constant colours.

    Takes normalised frames [F,3,h,w] and label maps [F,h,w], for example true and predicted ones;
    there is a row for each.
    """
    pixels = frames.permute(0, 2, 3, 1).float().cpu().numpy() * DEVIATION + MEAN
    images = np.clip(255 * pixels + 0.5, 0, 255).astype(np.uint8)
    rows = []
    for row in labels:
        maps = row.cpu().numpy()
        maps = np.where(maps == VOID, 0, maps)
        masks = (labels_to_masks(plane, int(maps.max())) for plane in maps)
        drawn = [draw_masks(image, part) for image, part in zip(images, masks, strict=True)]
        rows.append(np.concatenate(drawn, axis=1))
    return np.concatenate(rows)
