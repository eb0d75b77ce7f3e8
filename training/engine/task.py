"""The interface between a training and its task."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

from torch import Generator, Tensor, nn

from hqtrack.types import Image

Batch = TypeVar("Batch", bound=tuple[Tensor, ...])
"""A NamedTuple of tensors whose first dimension is the sample."""

Seen = TypeVar("Seen", bound=tuple[Tensor, ...], contravariant=True)
"""The type of a task's batches."""


class Losses(NamedTuple):
    """The loss of a step, and numbers for the log.

    Attributes:
        total: scalar; the mean over the samples of the batch, so that the mean over processes
            equals the loss of a single process.
        parts: scalars without gradient, means over the samples; the progress bar shows "J".
    """

    total: Tensor
    parts: Mapping[str, Tensor]


class Generators(NamedTuple):
    """Random generators on the CPU that depend only on the seed and the position in the run.

    Attributes:
        step: for decisions about the entire batch, the same in all processes.
        samples: one per sample of this process, for decisions about that sample.
    """

    step: Generator
    samples: list[Generator]


class Task(Protocol[Seen]):
    """A model to train, and its evaluation."""

    @property
    def model(self) -> nn.Module:
        """The model in training mode; parameters that need no gradient do not change."""

    def configuration(self) -> dict[str, Any]:
        """The configuration of the model, as plain values; a checkpoint of another is an error."""

    def learning_rate_scale(self, parameter: str) -> float:
        """The learning rate of the parameter of this name, relative to that of the run."""

    def loss(self, batch: Seen, generators: Generators) -> Losses:
        """The losses of a batch, on the model's device."""

    def sample(self, model: nn.Module, batch: Seen) -> Image:
        """A picture of the predictions of averaged weights for a batch, without gradient."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Scores of averaged weights on held-out data, without gradient; higher is better."""
