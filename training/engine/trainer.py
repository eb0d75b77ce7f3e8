"""Training steps in one process or several, and their exact continuation."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Generic, Literal, TypeAlias

import numpy as np
import torch
from timm.optim.muon import Muon
from timm.scheduler.poly_lr import PolyLRScheduler
from timm.scheduler.scheduler import Scheduler
from timm.utils.model_ema import ModelEmaV3
from torch import Generator, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from hqtrack.errors import InputError, one_line
from training.engine.precision import keep_convolutions
from training.engine.processes import World
from training.engine.task import Batch, Generators, Losses, Task

MOST_SKIPPED = 10
"""After so many steps in a row with a gradient that is not finite, training stops."""


class DivergedError(ArithmeticError):
    """The loss is not finite, step after step."""


@dataclass(frozen=True)
class Settings:
    """Settings of the optimisation and of the files.

    Attributes:
        steps: steps of the complete run.
        batch: samples per step, over all processes.
        optimizer: "adamw", or "muon", which moves matrices and kernels along the nearest
            orthogonal matrix to their momentum and leaves all other weights to AdamW.
        learning_rate: learning rate after `warm_up` steps.
        last_learning_rate: learning rate at the end.
        power: exponent of the polynomial decay.
        weight_decay: of matrices and kernels; norms, scales and biases have none.
        clip: largest norm of the gradient.
        average: decay of the exponential moving average of the weights.
        seed: seed of all random generators.
        bf16: compute in bfloat16 where it is safe.
        workers: loading processes, for each process of the training.
        save_every: steps between checkpoints.
        log_every: steps between lines of the log.
        sample_every: steps between sample pictures; 0 is never.
        evaluate_every: steps between evaluations; 0 is never.
    """

    steps: int
    batch: int = 4
    optimizer: Literal["adamw", "muon"] = "adamw"
    learning_rate: float = 1e-3
    last_learning_rate: float = 2e-5
    power: float = 0.9
    warm_up: int = 50
    weight_decay: float = 0.03
    clip: float = 5.0
    average: float = 0.998
    seed: int = 0
    bf16: bool = False
    workers: int = 1
    save_every: int = 50
    log_every: int = 20
    sample_every: int = 500
    evaluate_every: int = 0


SchedulerFactory: TypeAlias = Callable[[Optimizer, Settings], Scheduler]


def polynomial(optimizer: Optimizer, settings: Settings) -> Scheduler:
    """Linear warm-up, then polynomial decay to the last learning rate."""
    return PolyLRScheduler(
        optimizer,
        settings.steps,
        power=settings.power,
        lr_min=settings.last_learning_rate,
        warmup_t=settings.warm_up,
        warmup_lr_init=settings.learning_rate / max(settings.warm_up, 1),
        t_in_epochs=False,
    )


class _Forward(nn.Module):
    """The loss as a module, for DistributedDataParallel to wrap."""

    def __init__(self, task: Task[Any]) -> None:
        super().__init__()
        self.model = task.model
        self.loss = task.loss

    def forward(self, batch: Any, generators: Generators) -> Losses:
        return self.loss(batch, generators)


class Trainer(Generic[Batch]):
    """The state of a training: weights, their average, optimizer and position in the data."""

    def __init__(
        self,
        task: Task[Batch],
        settings: Settings,
        world: World,
        scheduler: SchedulerFactory = polynomial,
    ) -> None:
        if settings.batch % world.size:
            raise InputError(
                f"a batch of {settings.batch} cannot be shared by {world.size} processes: "
                "choose a multiple"
            )
        self.task = task
        self.settings = settings
        self.world = world
        task.model.to(world.device)
        if settings.bf16 and world.device.type == "cpu":
            keep_convolutions(task.model)
        forward = _Forward(task)
        self.forward = DistributedDataParallel(forward) if world.size > 1 else forward
        self.average = ModelEmaV3(task.model, decay=settings.average, use_warmup=True)
        self.optimizer = make_optimizer(
            settings, parameter_groups(task.model, settings.weight_decay, task.learning_rate_scale)
        )
        self.scheduler = scheduler(self.optimizer, settings)
        self.step = 0
        self.samples = 0
        self.skipped = 0

    def advance(self, batch: Batch) -> Losses:
        """One step on this process's share of a batch.

        A step whose gradient is not finite changes no weight. Raises DivergedError after
        `MOST_SKIPPED` such steps in a row.
        """
        self.scheduler.step_update(self.step)
        batch = self.world.take(batch)
        device = self.world.device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.settings.bf16):
            losses: Losses = self.forward(batch, self.generators(len(batch[0])))
        self.optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        norm = nn.utils.clip_grad_norm_(self.task.model.parameters(), self.settings.clip)
        if torch.isfinite(norm):
            self.optimizer.step()
            self.average.update(self.task.model, self.step)
            self.skipped = 0
        else:
            self.skipped += 1
            if self.skipped == MOST_SKIPPED:
                raise DivergedError(
                    f"the gradient was not finite in {MOST_SKIPPED} steps in a row, the last is "
                    f"step {self.step}: resume from the checkpoint with a lower learning rate, or "
                    "without bfloat16"
                )
        self.step += 1
        self.samples += self.settings.batch
        return losses

    def generators(self, count: int) -> Generators:
        """The generators of this process's `count` samples of the current step."""
        first = self.samples + self.world.rank * count
        seed = self.settings.seed
        return Generators(
            _generator(seed, 0, self.step),
            [_generator(seed, 1, number) for number in range(first, first + count)],
        )

    def numbers(self) -> Iterator[list[int]]:
        """The numbers of this process's samples, from the current step to the last one."""
        share = self.settings.batch // self.world.size
        first, steps = self.samples + self.world.rank * share, self.settings.steps - self.step
        for start in range(first, first + steps * self.settings.batch, self.settings.batch):
            yield list(range(start, start + share))

    def state(self) -> dict[str, Any]:
        """The complete state for an exact continuation."""
        return {
            "model": self.task.model.state_dict(),
            "average": self.average.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "samples": self.samples,
            "skipped": self.skipped,
            "configuration": self.task.configuration(),
            "settings": asdict(self.settings),
        }

    def restore(self, state: Mapping[str, Any], name: str = "the checkpoint") -> None:
        """Continue from a `state` with the current settings.

        Also with another batch size or number of processes, training continues with the next
        sample. Raises InputError for a state of another configuration.
        """
        _check_same(state.get("configuration"), self.task.configuration(), name)
        _check_same(_chosen(state.get("settings")), _chosen(asdict(self.settings)), name)
        present = [_options(group) for group in self.optimizer.param_groups]
        try:
            self.task.model.load_state_dict(state["model"])
            self.average.module.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise InputError(
                f"{name} does not fit {self.task.configuration()} "
                f"({one_line(error)[:200]} ...): give the options with which "
                "the run was started, or another folder"
            ) from error
        for group, options in zip(self.optimizer.param_groups, present, strict=True):
            group.update(options)
        self.step = state["step"]
        # old runs without a stored position had one batch size
        self.samples = state.get("samples", self.step * state.get("schedule", {}).get("batch", 0))
        self.skipped = state.get("skipped", 0)


def make_optimizer(settings: Settings, groups: list[dict[str, Any]]) -> Optimizer:
    """The optimizer for these `parameter_groups`.

    Muon's steps are scaled to the size of AdamW's, so the same learning rates apply.
    """
    if settings.optimizer == "muon":
        return Muon(groups, settings.learning_rate, nesterov=True, betas=(0.9, 0.99))
    return torch.optim.AdamW(groups, settings.learning_rate)


def parameter_groups(
    model: nn.Module, weight_decay: float, learning_rate_scale: Callable[[str], float]
) -> list[dict[str, Any]]:
    """The trained parameters, grouped by learning rate and weight decay; see `Settings`."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((learning_rate_scale(name), parameter.ndim > 1), []).append(parameter)
    return [
        {"params": groups[key], "lr_scale": key[0], "weight_decay": weight_decay * key[1]}
        for key in sorted(groups, reverse=True)
    ]


def _generator(*seeds: int) -> Generator:
    seed = np.random.SeedSequence(seeds).generate_state(1, np.uint64)[0]
    return Generator().manual_seed(int(seed))


def _options(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}


def _chosen(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """The settings that must not change; in old runs AdamW was the only optimizer."""
    return {"optimizer": (settings or {}).get("optimizer", "adamw")}


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values without nesting, under names like `encoder.stride`."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        inner = _flat(value) if isinstance(value, Mapping) else {"": value}
        flat |= {f"{name}.{key}".removesuffix("."): part for key, part in inner.items()}
    return flat


def _check_same(stored: Mapping[str, Any] | None, present: Mapping[str, Any], name: str) -> None:
    """Raise InputError if they differ; an old run stores nothing, and its shapes are checked."""
    if stored is None or stored == present:
        return
    stored, present = _flat(stored), _flat(present)
    keys = [key for key in {**stored, **present} if stored.get(key) != present.get(key)]
    raise InputError(
        f"{name} has {', '.join(f'{key} {stored.get(key)}' for key in keys)}, this run "
        f"{', '.join(f'{key} {present.get(key)}' for key in keys)}: give the options with "
        "which it was started, or another folder"
    )
