"""The dense part of augmentation, in batches, on the device that trains.

The clip itself contains the parameters, which depend on its number. So the result depends neither
on the device nor on the distribution of clips over processes.
"""

import torch

from hqtrack.preprocess import DEVIATION, MEAN
from training.vmos.clips import Clip, RawClip


def augment(raw: RawClip) -> Clip:
    """Mirror raw clips [B,...], change their colours and normalise them; on their device."""
    flip = raw.flip[:, None, None, None]
    frames = torch.where(flip[..., None], raw.frames.flip(-2), raw.frames)
    labels = torch.where(flip, raw.labels.flip(-1), raw.labels)
    mean, deviation = (raw.colour.new_tensor(values)[:, None] for values in (MEAN, DEVIATION))
    scale = raw.colour[..., :3] / (255 * deviation)
    offset = (raw.colour[..., 3:] / 255 - mean) / deviation
    pixels = torch.baddbmm(offset, scale, frames.flatten(1, 3).float().transpose(1, 2))
    pixels.clamp_(-mean / deviation, (1 - mean) / deviation)
    return Clip(pixels.unflatten(2, frames.shape[1:4]).transpose(1, 2), labels.long())
