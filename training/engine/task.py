"""What a training needs to know of what it trains."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

from torch import Generator, Tensor, nn

from hqtrack.types import Image

Batch = TypeVar("Batch", bound=tuple[Tensor, ...])
"""A NamedTuple of tensors, each with one entry per sample in front."""

Seen = TypeVar("Seen", bound=tuple[Tensor, ...], contravariant=True)
"""The batches that a task takes."""


class Losses(NamedTuple):
    """What a step minimises, and numbers for the log.

    Attributes:
        total: scalar; the mean over the samples of the batch, so that the mean over processes is
            what one process would get.
        parts: scalars without gradient, means over the samples; "J" is shown.
    """

    total: Tensor
    parts: Mapping[str, Tensor]


class Generators(NamedTuple):
    """Random numbers that depend on the seed and the position alone; generators on the CPU.

    Attributes:
        step: for decisions about the whole batch, alike in all processes.
        samples: one per sample of this process, for what happens to that sample.
    """

    step: Generator
    samples: list[Generator]


class Task(Protocol[Seen]):
    """What is trained, and how it is judged."""

    @property
    def model(self) -> nn.Module:
        """What learns, in training mode; parameters that need no gradient stay as they are."""

    def configuration(self) -> dict[str, Any]:
        """What the weights belong to, as plain values; a checkpoint of another is refused."""

    def learning_rate_scale(self, parameter: str) -> float:
        """The learning rate of the parameter of this name, relative to that of the run."""

    def loss(self, batch: Seen, generators: Generators) -> Losses:
        """The losses of a batch, on the model's device."""

    def sample(self, model: nn.Module, batch: Seen) -> Image:
        """A picture of what averaged weights make of a batch; without gradient."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Scores of averaged weights on held-out data, higher is better; without gradient."""
