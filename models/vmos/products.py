"""Matrix products of a CPU in float32, without gradients: oneDNN's where torch offers them.

torch gives them to MKL, which does not know the wide instructions of every processor. oneDNN
compiles its own for the processor at hand. torch reaches it through an operator without a promise,
so what it returns is tried once, and `torch.matmul` stays for all other cases.
"""

from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def times_rows(x: Tensor, rows: Tensor) -> Tensor:
    """`x @ rows.T` for [B,N,k] and [B,M,k] -> [B,N,M]; `rows` may be a transposed view."""
    if len(x) == 1 and _suits(x, rows):
        return _onednn(x[0], rows[0], None)[None]
    return x @ rows.transpose(1, 2)


class Linear(nn.Linear):
    """`nn.Linear` with the product of this module."""

    def forward(self, input: Tensor) -> Tensor:
        """[...,C] -> [...,C']."""
        if _suits(input, self.weight):
            return _onednn(input, self.weight, self.bias)
        return F.linear(input, self.weight, self.bias)


def _suits(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN may multiply these: tensors with content in float32 on a CPU, no gradients."""
    return (
        type(x) is Tensor
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and x.numel() > 0 < weight.numel()
        and _is_right()
    )


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


@cache
def _is_right() -> bool:
    """Whether this torch has the operator, and it does what it is used for."""
    x = torch.arange(15.0).view(3, 5)
    weight, bias = torch.arange(10.0).view(5, 2), torch.arange(2.0)
    try:
        return torch.equal(_onednn(x, weight.T, bias), F.linear(x, weight.T, bias))
    except (AttributeError, RuntimeError, TypeError):
        return False
