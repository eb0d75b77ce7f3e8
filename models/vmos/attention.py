"""Gated propagation: attention carries values from memory, and the frame itself gates them."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vmos.ops import Size, global_attention, local_attention, to_grid, to_tokens
from vmos.products import Linear


class LayerMemory(NamedTuple):
    """The memory of one layer for one or more frames.

    Attributes:
        key: [B,M,a].
        value: [B,M,2e], visual values, then identity values.
    """

    key: Tensor
    value: Tensor


class Gated(nn.Module):
    """The last steps of each gated propagation (DeAOT): gate, 5x5, projection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(4 * width, 4 * width, 5, padding=2, groups=4 * width, bias=False)
        self.projection = Linear(4 * width, 2 * width)

    def finish(self, carried: Tensor, gate: Tensor, size: Size) -> Tensor:
        """Carried values and gate, both [B,N,4d] -> update of both branches [B,N,2d]."""
        grid = self.depthwise(to_grid(carried * gate, size))
        return self.projection(to_tokens(grid))


class LongTermAttention(Gated):
    """Gated propagation from every pixel of the long-term memory."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.carry = global_attention

    def attend(self, query: Tensor, key: Tensor, value: Tensor, size: Size) -> Tensor:
        """The output of attention alone: [B,N,C] for values [B,M,C]."""
        return self.carry(query, key, value)

    def forward(self, query: Tensor, memory: LayerMemory, gate: Tensor, size: Size) -> Tensor:
        """Query [B,N,a] of a frame of `size` (h, w) -> update [B,N,2d]."""
        return self.finish(self.attend(query, *memory, size), gate, size)


class ShortTermAttention(Gated):
    """Gated propagation from a window of the short-term memory, with relative positions."""

    def __init__(self, width: int, radius: int) -> None:
        super().__init__(width)
        self.radius = radius
        self.relative = nn.Conv2d(width // 2, (2 * radius + 1) ** 2, 1)
        self.carry = local_attention

    def attend(self, query: Tensor, key: Tensor, value: Tensor, size: Size) -> Tensor:
        """The output of attention alone: [B,N,C] for values [B,N,C] of one frame."""
        bias = to_tokens(self.relative(to_grid(query, size)))
        return self.carry(query, key, value, bias, size, self.radius)

    def forward(self, query: Tensor, memory: LayerMemory, gate: Tensor, size: Size) -> Tensor:
        """Query [B,N,a] of a frame of `size` (h, w) -> update [B,N,2d]."""
        return self.finish(self.attend(query, *memory, size), gate, size)


class SelfAttention(Gated):
    """Gated propagation within the frame."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.query_key = Linear(2 * width, width // 2)
        self.visual_value = Linear(width, 2 * width)
        self.identity_value = Linear(width, 2 * width)
        self.visual_gate = Linear(width, 2 * width)
        self.identity_gate = Linear(width, 2 * width)
        self.carry = global_attention

    def forward(self, visual: Tensor, identity: Tensor, size: Size) -> Tensor:
        """Normalised branches, both [B,N,d], of a frame of `size` (h, w) -> update [B,N,2d]."""
        query = self.query_key(torch.cat([visual, identity], dim=-1))
        value = torch.cat([self.visual_value(visual), self.identity_value(identity)], dim=-1)
        gate = torch.cat([self.visual_gate(visual), self.identity_gate(identity)], dim=-1)
        return self.finish(self.carry(query, query, F.silu(value)), F.silu(gate), size)
