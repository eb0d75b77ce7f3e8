"""The smallest task: a line through noisy points."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from training.engine.processes import World
from training.engine.task import Losses
from training.engine.trainer import Settings, Trainer

CPU = World(torch.device("cpu"))


class Point(NamedTuple):
    """[2] and [1]; a batch [B,2] and [B,1]."""

    x: Tensor
    y: Tensor


class Points(Dataset):
    """Point n depends on n alone; those whose number is in `bad` are not finite."""

    def __init__(self, bad=()):
        self.bad = bad

    def __getitem__(self, index):
        x = torch.from_numpy(np.random.default_rng(index).normal(size=2).astype(np.float32))
        y = torch.tensor([float("nan") if index in self.bad else 3 * x[0] - x[1] + 0.5])
        return Point(x, y.float())


class Line:
    """See `training.engine.task.Task`; what a step does depends on both kinds of generators."""

    def __init__(self, width=1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = nn.Sequential(nn.Linear(2, width), nn.Linear(width, 1))

    def configuration(self):
        return {"network": "line", "width": self.model[0].out_features}

    def learning_rate_scale(self, parameter):
        return 0.1 if parameter.startswith("1.") else 1.0

    def loss(self, batch, generators):
        noise = torch.stack([torch.randn(1, generator=each) for each in generators.samples])
        common = torch.randn((), generator=generators.step)
        loss = ((self.model(batch.x) - batch.y + 0.1 * noise + 0.1 * common) ** 2).mean()
        return Losses(loss, {"J": loss.detach()})

    def sample(self, model, batch):
        return np.full((4, 6, 3), len(batch.x), np.uint8)

    def evaluate(self, model):
        return {"held_out": model(torch.zeros(1, 2)).item()}


def make_trainer(world=CPU, width=1, **changes):
    """Always the same weights to start from."""
    settings = Settings(steps=10, batch=4, learning_rate=0.05, warm_up=2, workers=0, save_every=100)
    return Trainer(Line(width), replace(settings, **changes), world)
