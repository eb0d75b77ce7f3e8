"""The multi-scale stack of gated propagation layers, and the memory of each layer."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vmos.attention import LayerMemory, LongTermAttention, SelfAttention, ShortTermAttention
from vmos.config import VMOSConfig
from vmos.encoder import Features
from vmos.ops import Size, resize, to_grid, to_tokens
from vmos.products import Linear


class LayerState(NamedTuple):
    """The state of a frame in one layer, before the layer reads its memories.

    Attributes:
        key: [B,N,a], the queries of the frame, which are also its keys.
        value: [B,N,e], visual values.
        gate: [B,N,2e].
        identity: [B,N,d], normalised identity branch; None in the first layer.
    """

    key: Tensor
    value: Tensor
    gate: Tensor
    identity: Tensor | None


Recall = Callable[[int, LayerState], tuple[LayerMemory, LayerMemory]]
"""Layer index and the frame's state there -> its long-term and its short-term memory."""


class GatedPropagationLayer(nn.Module):
    """One gated propagation module with a visual and an identity branch (DeAOT)."""

    def __init__(self, width: int, radius: int, *, first: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.query_value = Linear(width, width // 2 + 2 * width)
        self.gate = Linear(width, 2 * width)
        self.identity_norm1 = None if first else nn.LayerNorm(width)
        self.identity_gate = None if first else Linear(width, 2 * width)
        self.identity_value = Linear(width if first else 2 * width, 2 * width)
        self.long_term = LongTermAttention(width)
        self.short_term = ShortTermAttention(width, radius)
        self.norm2 = nn.LayerNorm(width)
        self.identity_norm2 = nn.LayerNorm(width)
        self.self_attention = SelfAttention(width)
        self.split = [width // 2, 2 * width]

    def look(self, visual: Tensor, identity: Tensor | None) -> LayerState:
        """Both branches [B,N,d] -> the frame's state, from which the layer reads and remembers."""
        visual = self.norm1(visual)
        key, value = self.query_value(visual).split(self.split, dim=-1)
        gate = F.silu(self.gate(visual))
        if self.identity_norm1 is None or self.identity_gate is None:
            return LayerState(
                key, F.silu(value), torch.cat([gate, torch.ones_like(gate)], -1), None
            )
        identity = self.identity_norm1(identity)
        gate = torch.cat([gate, F.silu(self.identity_gate(identity))], dim=-1)
        return LayerState(key, F.silu(value), gate, identity)

    def remember(self, state: LayerState, embedding: Tensor) -> LayerMemory:
        """A frame's state and its identity embedding [B,N,d] -> the layer's memory of it."""
        if state.identity is not None:
            embedding = torch.cat([state.identity, embedding], dim=-1)
        identity_value = F.silu(self.identity_value(embedding))
        return LayerMemory(state.key, torch.cat([state.value, identity_value], dim=-1))

    def forward(
        self,
        visual: Tensor,
        identity: Tensor | None,
        state: LayerState,
        memories: tuple[LayerMemory, LayerMemory],
        size: Size,
    ) -> tuple[Tensor, Tensor]:
        """Both branches [B,N,d] after reading the long-term and the short-term memory."""
        long_term, short_term = memories
        update = self.long_term(state.key, long_term, state.gate, size)
        update = update + self.short_term(state.key, short_term, state.gate, size)
        step, identity_step = update.chunk(2, dim=-1)
        visual = visual + step
        identity = identity_step if identity is None else identity + identity_step
        update = self.self_attention(self.norm2(visual), self.identity_norm2(identity), size)
        step, identity_step = update.chunk(2, dim=-1)
        return visual + step, identity + identity_step


class ConvNorm(nn.Module):
    """Convolution and group norm."""

    def __init__(self, width: int, next_width: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, next_width, kernel, padding=kernel // 2)
        self.norm = nn.GroupNorm(groups, next_width)

    def forward(self, x: Tensor) -> Tensor:
        """[B,C,h,w] -> [B,C',h,w]."""
        return self.norm(self.conv(x))


class ResBlock(nn.Module):
    """Two 3x3 convolutions with activations before them, added to the input."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.first = ConvNorm(width, width, 3, groups)
        self.second = ConvNorm(width, width, 3, groups)

    def forward(self, x: Tensor) -> Tensor:
        """[B,C,h,w] -> [B,C,h,w]."""
        return x + self.second(F.relu(self.first(F.relu(x))))


class Refinement(nn.Module):
    """Brings both branches to the next finer stride (HQTrack, VMOS).

    The same encoder feature is added to both branches, as in the released model.
    """

    def __init__(self, width: int, next_width: int, skip_width: int, groups: int) -> None:
        super().__init__()
        self.visual_in = ConvNorm(width, next_width, 1, groups)
        self.identity_in = ConvNorm(width, next_width, 1, groups)
        self.skip = nn.Conv2d(skip_width, next_width, 1)
        self.visual_out = nn.Sequential(*(ResBlock(next_width, groups) for _ in range(2)))
        self.identity_out = nn.Sequential(*(ResBlock(next_width, groups) for _ in range(2)))

    def forward(self, visual: Tensor, identity: Tensor, feature: Tensor) -> tuple[Tensor, Tensor]:
        """Both branches [B,C,h,w] and the finer feature [B,S,h',w'] -> branches [B,C',h',w']."""
        skip = self.skip(feature)
        size = feature.shape[-2:]
        visual = resize(F.relu(self.visual_in(visual)), size)
        identity = resize(F.relu(self.identity_in(identity)), size)
        return F.relu(self.visual_out(skip + visual)), F.relu(self.identity_out(skip + identity))


class Looked(NamedTuple):
    """A frame before the fine layer reads its memories.

    Attributes:
        visual, identity: both branches [B,N,d] of the fine layer.
        states: the frame's state in every layer.
    """

    visual: Tensor
    identity: Tensor
    states: list[LayerState]


class MultiScalePropagation(nn.Module):
    """Coarse layers, one fine layer, and the refinements to the head's stride (HQTrack, VMOS)."""

    def __init__(self, config: VMOSConfig, skip_widths: tuple[int, int]) -> None:
        """`skip_widths`: channels of the encoder's features for the head and the fine layer."""
        super().__init__()
        output, fine, coarse = config.widths
        radius, groups = config.window_radius, config.norm_groups
        self.coarse_layers = nn.ModuleList(
            GatedPropagationLayer(coarse, radius, first=index == 0)
            for index in range(config.coarse_layers)
        )
        self.to_fine = Refinement(config.coarse_layers * coarse, fine, skip_widths[1], groups)
        self.fine_layer = GatedPropagationLayer(fine, radius, first=False)
        self.to_output = Refinement(fine, output, skip_widths[0], groups)
        self.output_norm = nn.GroupNorm(2, 2 * output)

    def layers(self) -> list[GatedPropagationLayer]:
        """All layers in the order in which a frame passes through them."""
        return [*self.coarse_layers, self.fine_layer]

    def look(self, features: Features, recall: Recall) -> Looked:
        """Propagate one frame up to the fine layer, which does not read memory yet.

        Args:
            features: the frame, batch B.
            recall: called once per coarse layer for its memories.
        """
        size = features.coarse.shape[-2:]
        visual, identity = to_tokens(features.coarse), None
        visuals, identities, states = [], [], []
        *coarse_layers, fine_layer = self.layers()
        for index, layer in enumerate(coarse_layers):
            states.append(layer.look(visual, identity))
            memories = recall(index, states[-1])
            visual, identity = layer(visual, identity, states[-1], memories, size)
            visuals.append(to_grid(visual, size))
            identities.append(to_grid(identity, size))
        fine = self.to_fine(torch.cat(visuals, 1), torch.cat(identities, 1), features.fine)
        visual, identity = map(to_tokens, fine)
        states.append(fine_layer.look(visual, identity))
        return Looked(visual, identity, states)

    def forward(self, features: Features, recall: Recall) -> tuple[Tensor, list[LayerState]]:
        """Propagate one frame.

        Args:
            features: the frame, batch B.
            recall: called once per layer for its memories.

        Returns:
            The tensor for the head [B,2*output,h,w] and the frame's state in every layer.
        """
        visual, identity, states = self.look(features, recall)
        memories = recall(len(states) - 1, states[-1])
        size = features.fine.shape[-2:]
        visual, identity = self.fine_layer(visual, identity, states[-1], memories, size)
        output = self.to_output(to_grid(visual, size), to_grid(identity, size), features.output)
        return self.output_norm(torch.cat(output, dim=1)), states
