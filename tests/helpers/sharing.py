"""Two steps of training a tiny VMOS, in as many processes as there are: `sharing.py FOLDER`."""

import sys
from pathlib import Path

import torch

from hqtrack.light import LIGHT_SEGMENTER
from tests.helpers.tiny_vmos import tiny_vmos
from training.engine.loop import loading
from training.engine.processes import World, join_processes
from training.engine.trainer import Settings, Trainer
from training.vmos.clips import ClipConfig, Clips
from training.vmos.rollout import LossConfig
from training.vmos.task import VMOSTask


def two_steps(world: World) -> dict[str, torch.Tensor]:
    """The gradients of the first step; the weights and generators after the second."""
    config = ClipConfig(size=49, frames=4, video=0.0, generated=1.0, objects=3)
    clips = Clips(config, [], seed=0)
    # nothing that rounding can turn: no hardest pixels, no predicted labels in memory
    loss = LossConfig(reference_only=0.5, hardest=1.0, truth=1.0)
    task = VMOSTask(tiny_vmos(), loss, LIGHT_SEGMENTER)
    trainer = Trainer(task, Settings(2, batch=4, clip=1e9, warm_up=0, workers=0), world)
    found = {}
    with loading(trainer, clips) as batches:
        for batch in batches:
            trainer.advance(batch)
            if trainer.step == 1:
                named = task.model.named_parameters()
                found |= {f"gradient {name}": one.grad.clone() for name, one in named}
    return found | task.model.state_dict()


if __name__ == "__main__":
    torch.set_num_threads(1)
    with join_processes("cpu") as joined:
        torch.save(two_steps(joined), Path(sys.argv[1]) / f"{joined.rank}.pt")
