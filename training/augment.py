"""The dense part of augmentation, batched, on the device that trains.

What happens to a clip was drawn with the clip, from its number: the result depends neither on the
device nor on how clips are spread over processes.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hqtrack.preprocess import DEVIATION, MEAN
from training.clips import Clip, RawClip


def augment(raw: RawClip) -> Clip:
    """Change the colours of raw clips [B,...], mirror some, and normalise them; on their device."""
    colour, flip = raw.colour, raw.flip[:, None, None, None]
    pixels = raw.frames.permute(0, 4, 1, 2, 3)
    flat = torch.baddbmm(colour[:, :, 3:], colour[:, :, :3], pixels.flatten(2).float())
    frames = flat.clamp_(0, 255).unflatten(2, pixels.shape[2:])
    frames = frames.sub_(_levels(MEAN, frames)).div_(_levels(DEVIATION, frames))
    frames = frames.transpose(1, 2)
    labels = raw.labels.long()
    return Clip(
        torch.where(flip[..., None], frames.flip(-1), frames),
        torch.where(flip, labels.flip(-1), labels),
    )


def _levels(values: NDArray[np.float64], like: Tensor) -> Tensor:
    return 255 * torch.as_tensor(values, dtype=like.dtype, device=like.device).view(1, 3, 1, 1, 1)
