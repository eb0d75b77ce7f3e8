"""Image classifiers of timm as sources of features, with batch norms in their convolutions."""

from collections.abc import Sequence
from typing import Any

import timm
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval


class Affine(nn.Module):
    """Scales and shifts every channel by fixed numbers."""

    scale: Tensor
    offset: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(channels))
        self.register_buffer("offset", torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[B,C,h,w] -> [B,C,h,w]."""
        return x * self.scale[:, None, None] + self.offset[:, None, None]


def normalisation(name: str) -> Affine:
    """From the usual mean and deviation of images to those that a model was trained with."""
    trained: Any = timm.get_pretrained_cfg(name)
    mean, deviation = (torch.tensor(values) for values in (trained.mean, trained.std))
    usual_mean, usual_deviation = map(torch.tensor, (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
    affine = Affine(3)
    affine.scale.copy_(usual_deviation / deviation)
    affine.offset.copy_((usual_mean - mean) / deviation)
    return affine


def plain_body(name: str, strides: Sequence[int]) -> Any:
    """timm's model up to the last of the strides, with batch norms and random weights.

    It is a module that returns the features at these strides, powers of 2 in ascending order, and
    tells about them in `feature_info`. Nothing is fetched.

    Raises ValueError where there is none of this name or it has other strides.
    """
    levels = tuple(stride.bit_length() - 2 for stride in strides)
    try:
        body: Any = timm.create_model(
            name, features_only=True, feature_cls="getter", out_indices=levels
        )
    except (RuntimeError, ValueError, AttributeError, AssertionError) as error:
        raise ValueError(f"timm makes no encoder of {name!r}: {error}") from error
    found = body.feature_info.reduction()
    if found != list(strides):
        raise ValueError(f"{name} has features at strides {found}, not at {list(strides)}")
    return body


def fold(body: nn.Module) -> nn.Module:
    """Make each batch norm part of the convolution in front of it, in place.

    A batch norm that does not learn is an affine map per channel, so convolution and norm are one
    convolution. Padding becomes the same on all sides.

    Raises ValueError for a norm of which that cannot be done.
    """
    body.eval()
    for parent in list(body.modules()):
        previous = ""
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and previous:
                setattr(parent, previous, _folded(getattr(parent, previous), child))
                setattr(parent, name, getattr(child, "act", nn.Identity()))
            previous = name if isinstance(child, nn.Conv2d) else ""
    left = [name for name, module in body.named_modules() if isinstance(module, nn.BatchNorm2d)]
    if left:
        raise ValueError(f"the batch norm {left[0]} does not follow a convolution")
    return body


def _folded(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution for both, with symmetric padding."""
    size = convolution.kernel_size
    single = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        (size[0], size[1]),
        (convolution.stride[0], convolution.stride[1]),
        (size[0] // 2, size[1] // 2),
        groups=convolution.groups,
    )
    single.load_state_dict(fuse_conv_bn_eval(convolution, norm).state_dict())
    return single
