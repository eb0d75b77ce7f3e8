"""A dry run: a few steps that show the memory and the time that a training needs."""

import resource
import time
from datetime import timedelta
from typing import Any, NamedTuple

import torch
from torch.utils.data import Dataset

from training.engine.loop import Meter, loading
from training.engine.task import Batch
from training.engine.trainer import Trainer


class DryRun(NamedTuple):
    """Memory and time of a few steps.

    Attributes:
        parameters: number of parameters of the model.
        learning: number of parameters with a gradient.
        bytes: peak memory of the GPU, or of this process on a CPU.
        first_step: seconds of the first step, which also starts the loading processes.
        step: mean seconds of the other steps, or of the first if it is the only one.
        waiting: share of these seconds spent waiting for data.
        total: seconds of the complete training.
    """

    parameters: int
    learning: int
    bytes: int
    first_step: float
    step: float
    waiting: float
    total: float

    def __str__(self) -> str:
        return "\n".join(
            (
                f"parameters: {self.parameters:,}, of which {self.learning:,} learn",
                f"most memory: {self.bytes / 2**30:.2f} GiB",
                f"seconds per step: {self.step:.3g} (the first one {self.first_step:.3g}), "
                f"{self.waiting:.1%} of them waiting for data",
                f"the complete training: {timedelta(seconds=round(self.total))}",
            )
        )


def dry_run(trainer: Trainer[Batch], dataset: Dataset[Any], steps: int) -> DryRun:
    """Take some steps and write nothing; every process has to call it."""
    device = trainer.world.device
    meter = Meter(trainer.world)
    seconds = []
    with loading(trainer, dataset) as loader:
        batches = meter.timed(loader)
        for _ in range(steps):
            began, waited = time.monotonic(), meter.waited
            trainer.advance(next(batches))
            seconds.append((time.monotonic() - began, meter.waited - waited))
        batches.close()
    if device.type == "cuda":
        most = torch.cuda.max_memory_allocated(device)
    else:
        most = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    steady = seconds[1:] or seconds
    step = sum(total for total, _ in steady) / len(steady)
    parameters = list(trainer.task.model.parameters())
    return DryRun(
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if p.requires_grad),
        most,
        seconds[0][0],
        step,
        sum(waiting for _, waiting in steady) / len(steady) / step,
        step * trainer.settings.steps,
    )
