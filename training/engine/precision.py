"""What computes in float32 and what in bfloat16 when a CPU trains."""

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


def in_bfloat16(module: nn.Module) -> None:
    """Let a module compute in bfloat16 and return float32, in place.

    For modules that do not learn: on a CPU only the way forward is faster in bfloat16.
    """
    module.register_forward_pre_hook(_enter_bfloat16)
    module.register_forward_hook(_leave_bfloat16, always_call=True)


_entered: list[torch.autocast] = []
"""The contexts of modules that compute in bfloat16 now."""


def _enter_bfloat16(_: nn.Module, arguments: tuple[Any, ...]) -> None:
    _entered.append(torch.autocast(arguments[0].device.type, torch.bfloat16))
    _entered[-1].__enter__()


def _leave_bfloat16(_: nn.Module, __: tuple[Any, ...], output: Any) -> Any:
    _entered.pop().__exit__(None, None, None)
    return None if output is None else output.float()


_left: list[torch.autocast] = []
"""The contexts of convolutions that are computed now; convolutions do not nest."""


def _leave_autocast(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    _left.append(torch.autocast("cpu", enabled=False))
    _left[-1].__enter__()
    return tuple(argument.float() for argument in arguments)


def _enter_autocast(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
    _left.pop().__exit__(None, None, None)
