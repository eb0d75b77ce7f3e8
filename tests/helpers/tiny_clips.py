"""Small generated clips, and what a network loses on them."""

import torch
from torch.utils.data import default_collate

from tests.helpers.tiny_vmos import TINY
from training.engine.processes import World
from training.vmos.augment import augment
from training.vmos.clips import ClipConfig, Clips
from training.vmos.rollout import roll_out

CPU = World(torch.device("cpu"))


def clips(size=49, frames=3):
    config = ClipConfig(size=size, frames=frames, video=0.0, generated=1.0, objects=TINY.objects)
    return Clips(config, [], seed=0)


def raw(frames=3, count=2):
    supply = clips(frames=frames)
    return default_collate([supply[number] for number in range(count)])


def rolled(model, config, frames=3, **options):
    """Always by the same generators."""
    generator = torch.Generator().manual_seed(0)
    return roll_out(model.train(), augment(raw(frames)), config, generator, **options).losses
