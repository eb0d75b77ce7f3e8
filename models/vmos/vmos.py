"""VMOS: the video multi-object segmenter."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vmos.attention import LayerMemory
from vmos.config import VMOSConfig
from vmos.encoder import Features
from vmos.encoders import build_encoder
from vmos.identity import IdentityBank
from vmos.ops import Size
from vmos.propagation import ConvNorm, LayerState, MultiScalePropagation

FrameMemory: TypeAlias = tuple[LayerMemory, ...]
"""The memory of every layer for one or more frames, in the order of the layers."""


class Propagated(NamedTuple):
    """A frame after propagation.

    Attributes:
        logits: [B,objects+1,h,w] at the head's stride; channel 0 is the background.
        states: the frame's state in every layer, for `VMOS.memorize`.
    """

    logits: Tensor
    states: list[LayerState]


class Head(nn.Module):
    """Logits per object from the propagated frame."""

    def __init__(self, width: int, objects: int, groups: int) -> None:
        super().__init__()
        self.mix = ConvNorm(width, width, 3, groups)
        self.classify = nn.Conv2d(width, objects + 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B,C,h,w] -> [B,objects+1,h,w], in float32 even under autocast."""
        mixed = F.relu(self.mix(x))
        with torch.autocast(x.device.type, enabled=False):
            return self.classify(mixed.float())


class VMOS(nn.Module):
    """Tracks up to `config.objects` objects in one pass (HQTrack, Video Multi-object Segmenter).

    It contains only weights; the caller owns the memory of a video. `encode` a frame once, then
    either `reference` it with a given label map or `propagate` it from memory. `memorize` turns a
    propagated frame and its labels into memory. All methods work on batches of videos.
    """

    def __init__(self, config: VMOSConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = build_encoder(config)
        self.identity = IdentityBank(config)
        self.propagation = MultiScalePropagation(config, self.encoder.skip_widths)
        self.head = Head(2 * config.widths[0], config.objects, config.norm_groups)

    def encode(self, image: Tensor) -> Features:
        """Encode a frame.

        Args:
            image: [B,3,h,w] RGB, normalised with the ImageNet mean and deviation; h and w are
                multiples of `config.coarse_stride` plus 1.
        """
        return self.encoder(image)

    def reference(self, features: Features, labels: Tensor) -> FrameMemory:
        """The memory of a reference frame, which is matched with itself.

        Args:
            features: the frame.
            labels: [B,h,w] at the network's input size; 0 is background, k the k-th object.
        """
        embeddings = self._embeddings(labels, features.fine.shape[-2:])
        layers = self.propagation.layers()
        memories: list[LayerMemory] = []

        def recall(index: int, state: LayerState) -> tuple[LayerMemory, LayerMemory]:
            memories.append(layers[index].remember(state, embeddings[index]))
            return memories[-1], memories[-1]

        states = self.propagation.look(features, recall).states
        recall(len(states) - 1, states[-1])
        return tuple(memories)

    def propagate(
        self, features: Features, long_term: FrameMemory, short_term: FrameMemory
    ) -> Propagated:
        """Segment a frame from memory.

        Args:
            features: the frame.
            long_term: memory of any number of frames, [B,T*N,...] per layer.
            short_term: memory of one frame.
        """
        decoded, states = self.propagation(
            features, lambda index, state: (long_term[index], short_term[index])
        )
        return Propagated(self.head(decoded), states)

    def memorize(self, states: Sequence[LayerState], labels: Tensor) -> FrameMemory:
        """The memory of a propagated frame with labels [B,h,w] at the network's input size."""
        stride = self.config.fine_stride
        size = [(side - 1) // stride + 1 for side in labels.shape[-2:]]
        embeddings = self._embeddings(labels, size)
        return tuple(
            layer.remember(state, embedding)
            for layer, state, embedding in zip(
                self.propagation.layers(), states, embeddings, strict=True
            )
        )

    def _embeddings(self, labels: Tensor, fine_size: Size) -> list[Tensor]:
        identity = self.identity(labels, fine_size)
        return [identity.coarse] * self.config.coarse_layers + [identity.fine]
