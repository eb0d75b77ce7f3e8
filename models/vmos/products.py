"""Matrix products of a CPU in float32, without gradients: oneDNN's where torch offers them.

torch gives them to MKL, which does not know the wide instructions of every processor. oneDNN
compiles its own for the processor at hand. torch reaches it through operators without a promise, so
what they return is tried once, and `torch.matmul` stays for all other cases.
"""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MANY = 4096
"""Products with so many x are worth arranging the other factor for."""


def multiplier(rows: Tensor, count: int) -> Callable[[Tensor], Tensor]:
    """What multiplies some of `count` x after the other: `x @ rows.T`, [B,N,k] -> [B,N,M].

    `rows` [B,M,k] may be a transposed view. For many x they are arranged once as oneDNN needs them.
    """
    if len(rows) != 1 or not _suits(rows, rows):
        return lambda x: x @ rows.mT
    weight = _arranged(rows[0]) if count >= MANY else rows[0]
    return lambda x: _onednn(x[0], weight, None)[None]


class Linear(nn.Linear):
    """`nn.Linear` with the product of this module."""

    def forward(self, input: Tensor) -> Tensor:
        """[...,C] -> [...,C']."""
        if _suits(input, self.weight):
            return _onednn(input, self.weight, self.bias)
        return F.linear(input, self.weight, self.bias)


def infers_on_cpu(x: Tensor) -> bool:
    """Whether `x` is a tensor with content on a CPU, and no gradients are wanted."""
    return type(x) is Tensor and x.device.type == "cpu" and not torch.is_grad_enabled()


def _suits(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN may multiply these: tensors with content in float32 on a CPU, no gradients."""
    return (
        infers_on_cpu(x)
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and x.numel() > 0 < weight.numel()
        and _is_right()
    )


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


def _arranged(weight: Tensor) -> Tensor:
    """The weight of `_onednn` in oneDNN's own order."""
    arranged: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())
    return arranged


@cache
def _is_right() -> bool:
    """Whether this torch has the operators, and they do what they are used for."""
    x = torch.arange(15.0).view(3, 5)
    weight, bias = torch.arange(10.0).view(5, 2), torch.arange(2.0)
    expected = F.linear(x, weight.T, bias)
    try:
        return all(
            torch.equal(_onednn(x, each, bias), expected)
            for each in (weight.T, _arranged(weight.T))
        )
    except (AttributeError, RuntimeError, TypeError):
        return False
