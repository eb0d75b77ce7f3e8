"""Image classifiers of timm as image encoders."""

from typing import Any

import timm
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from vmos.config import TimmConfig
from vmos.encoder import Encoder

STRIDES = [4, 8, 16]


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


class TimmEncoder(Encoder):
    """The part of a timm model up to stride 16, with its batch norms inside its convolutions.

    A batch norm that does not learn is an affine map per channel, so convolution and norm are one
    convolution. Padding is the same on all sides, which is also what TensorFlow's "same" comes to
    on sides that are a multiple of 16 plus 1.

    Attributes:
        normalise: from the ImageNet mean and deviation to those that the model was trained with.
        standardise: for the features at strides 4, 8 and 16; training sets it, see `measure`.
    """

    def __init__(self, config: TimmConfig, projected: int, joined: bool) -> None:
        """Raises ValueError where timm has no such model or it does not fit, see `TimmConfig`."""
        body = plain_body(config.name)
        widths = body.feature_info.channels()
        super().__init__((widths[0], widths[1], widths[2]), projected, joined)
        self.normalise = _normalisation(config.name)
        self.body = fold(body)
        self.standardise = nn.ModuleList(Affine(width) for width in widths)

    def pyramid(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `Encoder.pyramid`."""
        image = self.normalise(image).contiguous(memory_format=torch.channels_last)
        output, fine, coarse = (
            affine(feature)
            for affine, feature in zip(self.standardise, self.body(image), strict=True)
        )
        return output, fine, coarse

    @torch.no_grad()
    def measure(self, images: Tensor) -> None:
        """Make the features of these images, normalised [B,3,h,w], have mean 0 and deviation 1."""
        features = self.body(self.normalise(images))
        for affine, feature in zip(self.standardise.children(), features, strict=True):
            deviation, mean = torch.std_mean(feature, dim=(0, 2, 3))
            scale = 1 / deviation.clamp_min(1e-3)
            affine.load_state_dict({"scale": scale, "offset": -mean * scale})


def _normalisation(name: str) -> Affine:
    """From the usual mean and deviation of images to those that a model was trained with."""
    trained: Any = timm.get_pretrained_cfg(name)
    mean, deviation = (torch.tensor(values) for values in (trained.mean, trained.std))
    usual_mean, usual_deviation = map(torch.tensor, (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
    affine = Affine(3)
    affine.scale.copy_(usual_deviation / deviation)
    affine.offset.copy_((usual_mean - mean) / deviation)
    return affine


def plain_body(name: str) -> Any:
    """timm's model up to stride 16, with its batch norms and random weights; nothing is fetched.

    It is a module that returns the features at `STRIDES`, and tells about them in `feature_info`.

    Raises ValueError where there is none of this name or it has other strides.
    """
    try:
        body: Any = timm.create_model(
            name, features_only=True, feature_cls="getter", out_indices=(1, 2, 3)
        )
    except (RuntimeError, ValueError, AttributeError, AssertionError) as error:
        raise ValueError(f"timm makes no encoder of {name!r}: {error}") from error
    strides = body.feature_info.reduction()
    if strides != STRIDES:
        raise ValueError(f"{name} has features at strides {strides}, VMOS needs {STRIDES}")
    return body


def fold(body: nn.Module) -> nn.Module:
    """Make each batch norm part of the convolution in front of it, in place.

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
