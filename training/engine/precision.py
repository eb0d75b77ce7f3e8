"""What stays in float32 when a CPU trains in bfloat16."""

from typing import Any

import torch
from torch import nn


def keep_convolutions(model: nn.Module) -> None:
    """Let the convolutions of the model compute in float32 under autocast on a CPU, in place.

    There the gradient of a convolution in bfloat16 takes twice the time; matrix products take
    half of it.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(_leave_autocast)
            module.register_forward_hook(_enter_autocast, always_call=True)


_left: list[torch.autocast] = []
"""The contexts of convolutions that are computed now; convolutions do not nest."""


def _leave_autocast(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    _left.append(torch.autocast("cpu", enabled=False))
    _left[-1].__enter__()
    return tuple(argument.float() for argument in arguments)


def _enter_autocast(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
    _left.pop().__exit__(None, None, None)
