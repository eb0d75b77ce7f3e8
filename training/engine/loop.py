"""The training loop: several processes, exact resume, logs, pictures, held-out scores.

It trains a `Task` on a dataset whose sample number n depends only on n, in any process. Step s of a
run takes the next `batch` numbers, distributed over the processes.
"""

import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from hqtrack.errors import InputError
from hqtrack.progress import progress_on_stderr
from training.engine.processes import Helpers, World, stopping_on_signals
from training.engine.run_folder import RunFolder, read_checkpoint
from training.engine.task import Batch, Losses
from training.engine.trainer import Trainer


@contextmanager
def loading(trainer: Trainer[Batch], dataset: Dataset[Any]) -> Iterator[DataLoader[Any]]:
    """The batches of this process, from the current step to the last one."""
    helpers = Helpers()
    try:
        yield DataLoader(
            dataset,
            batch_sampler=trainer.numbers(),
            num_workers=trainer.settings.workers,
            worker_init_fn=helpers.start,
            pin_memory=trainer.world.device.type == "cuda",
        )
    finally:
        helpers.dismiss()


def resume(trainer: Trainer[Batch], folder: RunFolder) -> bool:
    """Resume from the checkpoint of the folder; returns whether there is one.

    Every process has to call it. Raises InputError if the checkpoint cannot be used, or if a
    process cannot see it.
    """
    there = folder.checkpoint.exists()
    if trainer.world.any(there) and not there:
        raise InputError(
            f"process {trainer.world.rank} cannot see {folder.checkpoint}: a run on several "
            "machines needs a folder that all of them can access"
        )
    if there:
        trainer.restore(read_checkpoint(folder.checkpoint), str(folder.checkpoint))
    return there


def train(trainer: Trainer[Batch], dataset: Dataset[Any], folder: RunFolder) -> None:
    """Train to the end of the run, or until Ctrl-C or SIGTERM; then save.

    Every process has to call it; the main process writes the folder. Raises DivergedError, and
    InputError if the folder is not writable.
    """
    settings, world = trainer.settings, trainer.world
    if world.is_main:
        folder.open(trainer.step)
    meter = Meter(world)
    progress = progress_on_stderr()
    progress.disable = not world.is_main
    bar = progress.add_task("steps", total=settings.steps, completed=trainer.step)
    with stopping_on_signals() as stop, loading(trainer, dataset) as batches, progress:
        for batch in meter.timed(batches):
            meter.add(trainer.advance(batch))
            progress.update(bar, completed=trainer.step)
            last = trainer.step == settings.steps or world.any(stop.asked)
            if trainer.step % settings.log_every == 0:
                row = meter.row(trainer.scheduler.optimizer.param_groups[0]["lr"])
                progress.update(bar, description=_described(row))
                if world.is_main:
                    folder.log(trainer.step, row)
            if world.is_main:
                _write(trainer, folder, batch, last)
            if last:
                break
    if world.is_main:
        folder.close()
    world.wait()


def _write(trainer: Trainer[Batch], folder: RunFolder, batch: Batch, last: bool) -> None:
    """Save, draw a sample and evaluate if they are due."""
    settings, step, model = trainer.settings, trainer.step, trainer.average.module
    if last or step % settings.save_every == 0:
        folder.save(trainer.state())
    if settings.sample_every and step % settings.sample_every == 0:
        folder.show(step, trainer.task.sample(model, trainer.world.take(batch)))
    if settings.evaluate_every and step % settings.evaluate_every == 0:
        folder.log(step, trainer.task.evaluate(model))


class Meter:
    """Means of the losses since the last row, and the time spent waiting for data."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.losses: list[Losses] = []
        self.started = self.since = time.monotonic()
        self.waited = 0.0

    def timed(self, batches: DataLoader[Any]) -> Generator[Any, None, None]:
        """The batches; measures how long this process waits for them."""
        supply = iter(batches)
        while True:
            asked = time.monotonic()
            try:
                batch = next(supply, None)
            except InputError as error:
                # an error from a loading process begins with that process's traceback
                raise InputError(str(error).strip().splitlines()[-1]) from error
            self.waited += time.monotonic() - asked
            if batch is None:
                return
            yield batch

    def add(self, losses: Losses) -> None:
        """Add the losses of a step."""
        self.losses.append(Losses(losses.total.detach(), losses.parts))

    def row(self, learning_rate: float) -> dict[str, float]:
        """The means since the last row, over all processes; every process has to call it."""
        names = ["loss", *self.losses[0].parts]
        table = [torch.stack([row.total, *row.parts.values()]).float() for row in self.losses]
        means = self.world.mean(torch.stack(table).mean(dim=0)).tolist()
        now = time.monotonic()
        row = dict(zip(names, (round(mean, 4) for mean in means), strict=True))
        row |= {
            "learning_rate": learning_rate,
            "steps_per_second": round(len(self.losses) / (now - self.since), 4),
            "waiting": round(self.waited / (now - self.since), 4),
            "seconds": round(now - self.started),
        }
        self.losses, self.since, self.waited = [], now, 0.0
        return row


def _described(row: Mapping[str, float]) -> str:
    """Loss and J for the progress bar."""
    return " ".join(f"{name} {row[name]:.3f}" for name in ("loss", "J") if name in row)
