"""The forward pass of a training step: a clip through encoder, memory and head, and its loss."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from training.data.sources import VOID
from training.engine.task import Losses
from training.vmos import drift, losses
from training.vmos.clips import Clip
from vmos import VMOS, FrameMemory
from vmos.attention import LayerMemory, LongTermAttention, ShortTermAttention
from vmos.encoder import Features
from vmos.ops import Size, one_hot, resize, to_tokens


@dataclass(frozen=True)
class LossConfig:
    """Weights of the losses, and the content of memory.

    Attributes:
        hardest: share of the pixels that the cross entropy uses.
        transport: weight of the loss on the labels that attention alone carries.
        truth: probability that a frame enters memory with its true labels, not the predicted ones.
        stale: probability that it enters with the predicted labels and those of the frame before.
        damaged: probability that it enters with predicted labels whose parts are lost or spill; for
            both see `training.vmos.drift`.
        unknown: probability that one object of it enters as unknown, without an identity.
        reference_only: probability that long-term memory contains only the reference frame.
        memory_gap: one frame in so many enters long-term memory (HQTrack, Implementation details).
    """

    hardest: float = 0.25
    transport: float = 0.5
    truth: float = 0.5
    stale: float = 0.0
    damaged: float = 0.0
    unknown: float = 0.0
    reference_only: float = 0.0
    memory_gap: int = 1


class Transport:
    """Records the attention to memory, and computes the labels that it would carry.

    `watching` records every such attention. `loss` then carries the labels of the frames in memory
    with its weights and compares them with the truth: an auxiliary task that is free at inference.
    """

    def __init__(self, model: VMOS) -> None:
        self.model = model
        self.calls: list[tuple[Any, Tensor, LayerMemory, Any]] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Record every attention to memory in the block."""
        self.calls.clear()
        handles = [
            module.register_forward_pre_hook(self._note)
            for module in self.model.modules()
            if isinstance(module, LongTermAttention | ShortTermAttention)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _note(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        query, memory, _, size = arguments
        self.calls.append((module, query, memory, size))

    def loss(self, long_term: list[Tensor], short_term: Tensor, truth: Tensor) -> Tensor:
        """Mean transport loss over the recorded calls.

        Takes the label maps [B,h,w] at input size of the frames in long-term memory, oldest first,
        of the frame in short-term memory, and of the frame that reads them.
        """
        terms = []
        for module, query, memory, size in self.calls:
            maps = long_term if isinstance(module, LongTermAttention) else [short_term]
            value = torch.cat([self._shares(labels, size) for labels in maps], dim=1)
            carried = module.attend(query, memory.key, value, size).float()
            terms.append(losses.transport_loss(carried, self._shares(truth, size)))
        return torch.stack(terms).mean()

    def _shares(self, labels: Tensor, size: Size) -> Tensor:
        """Share of every label around each token [B,N,objects+1]."""
        masks = one_hot(labels, self.model.config.objects)
        return to_tokens(F.adaptive_avg_pool2d(masks, (size[0], size[1])))


class Prediction(NamedTuple):
    """The prediction of frames 1.. of clips.

    Attributes:
        labels: [B,F-1,h,w] int64, the predicted labels.
        losses: the losses to minimise, with their parts.
    """

    labels: Tensor
    losses: Losses


def roll_out(
    model: VMOS,
    clip: Clip,
    config: LossConfig,
    generator: torch.Generator,
    checkpointing: bool = False,
) -> Prediction:
    """Segment frames 1.. of clips from memory and compare with the truth.

    Frame t reads frames 0, gap, 2 gap, ... before it from long-term memory, or only the reference
    frame, and frame t-1 from short-term memory.

    Args:
        model: in training mode.
        clip: frames [B,F,3,h,w], normalised, and labels [B,F,h,w] int64; the first frames have
            labels.
        config: weights of the losses, and probabilities for the content of memory.
        generator: decides the content of memory, for the entire batch.
        checkpointing: store no activations of a frame, but recompute them for the gradient.
    """
    frames, labels = clip
    count = frames.shape[1]
    run = partial(checkpoint, use_reentrant=False) if checkpointing else _call
    features = _encode(model, frames, run)
    transport = Transport(model)
    memories = [run(model.reference, features[0], labels[:, 0])]
    known = [labels[:, 0]]
    predictions, segmentation, carried, scores, weights = [], [], [], [], []
    alone = torch.rand((), generator=generator) < config.reference_only
    gap = count if alone else config.memory_gap
    for t in range(1, count):
        kept = slice(0, t, gap)
        with transport.watching():
            logits, states = run(model.propagate, features[t], _join(memories[kept]), memories[-1])
        logits = resize(logits.float(), labels.shape[-2:])
        truth, predicted = labels[:, t], logits.argmax(dim=1)
        segmentation.append(
            losses.bootstrapped_cross_entropy(logits, truth, config.hardest)
            + losses.soft_jaccard(logits, truth)
        )
        if config.transport:
            carried.append(transport.loss(known[kept], known[-1], truth))
        predictions.append(predicted)
        scores.append(losses.mean_jaccard(predicted, truth, model.config.objects))
        weights.append(losses.known_frames(truth).sum())
        if t + 1 < count:
            entered = _Frame(frames[:, t], truth, predicted, before=known[-1])
            written = _written(entered, config, generator)
            if config.unknown and torch.rand((), generator=generator) < config.unknown:
                written = drift.unknown(written, model.config.objects + 1, generator)
            known.append(written)
            memories.append(run(model.memorize, states, known[-1]))
    transport.calls.clear()
    parts = {"segmentation": segmentation, "transport": carried, "J": scores}
    # frames count by how many of the clips have labels there
    shares = torch.stack(weights) / torch.stack(weights).sum().clamp_min(1)
    means = {name: (torch.stack(part) * shares).sum() for name, part in parts.items() if part}
    total = means["segmentation"]
    if carried:
        total = total + config.transport * means["transport"]
    noted = {name: mean.detach() for name, mean in means.items()}
    return Prediction(torch.stack(predictions, dim=1), Losses(total, noted))


def _encode(model: VMOS, frames: Tensor, run: Callable[..., Any]) -> list[Features]:
    """The features of each frame of clips [B,F,3,h,w]; `run` calls the encoder."""
    if run is _call:
        encoded = model.encode(frames.flatten(0, 1))
        by_frame = [part.unflatten(0, frames.shape[:2]).unbind(1) for part in encoded]
        return [Features(*parts) for parts in zip(*by_frame, strict=True)]
    return [run(model.encode, frame) for frame in frames.unbind(1)]


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


class _Frame(NamedTuple):
    """Frames [B,3,h,w] that enter memory, with their labels [B,h,w]."""

    image: Tensor
    truth: Tensor
    predicted: Tensor
    before: Tensor


def _written(frame: _Frame, config: LossConfig, generator: torch.Generator) -> Tensor:
    """The labels [B,h,w] with which a frame enters memory."""
    chance = torch.rand((), generator=generator).item()
    if chance < config.truth:
        return torch.where(frame.truth == VOID, frame.predicted, frame.truth)
    chance -= config.truth
    if chance < config.stale:
        return drift.stale(frame.predicted, frame.before)
    if chance < config.stale + config.damaged:
        return drift.damaged(frame.predicted, frame.image, generator)
    return frame.predicted


def _join(memories: list[FrameMemory]) -> FrameMemory:
    """Memories of several frames, oldest first, as one long-term memory."""
    return tuple(
        LayerMemory(*(torch.cat(parts, dim=1) for parts in zip(*layers, strict=True)))
        for layers in zip(*memories, strict=True)
    )
