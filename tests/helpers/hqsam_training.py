"""Two pictures of squares, and a training of HQ-SAM on them."""

from dataclasses import replace

import torch

from tests.helpers.tiny_hqsam import tiny_hqsam
from training.engine.processes import World
from training.engine.trainer import Trainer
from training.hqsam.data import Examples
from training.hqsam.task import HQSamTask
from training.hqsam.train import PUBLISHED, drop_late
from training.hqsam.views import Jitter

SIDE = 256


ALONE = World(torch.device("cpu"))


STILL = Jitter(low=1, high=1, mirrored=0)


def picture(number):
    """Noise with a brighter square, and where that is."""
    image = torch.randint(90, (3, 96, 128), generator=torch.Generator().manual_seed(number))
    matte = torch.zeros(96, 128, dtype=torch.uint8)
    matte[10 + 20 * number :, 20 + 30 * number :][:40, :40] = 255
    return (image + 120 * (matte > 0)).to(torch.uint8), matte


PICTURES = [picture(number) for number in range(2)]


def batch():
    images, mattes = map(torch.stack, zip(*PICTURES, strict=True))
    return Examples(images, mattes, torch.tensor([[96, 128]] * 2))


def trainer(steps=2, sam=None, **changes):
    """Always the same weights to start from."""
    task = HQSamTask("vit_tiny", sam or tiny_hqsam(side=SIDE), jitter=STILL)
    settings = replace(PUBLISHED, steps=steps, batch=2, workers=0, **changes)
    return Trainer(task, settings, ALONE, drop_late)


def changed(before, after):
    return {key for key, value in after.items() if not torch.equal(value, before[key])}
