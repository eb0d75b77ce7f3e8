"""Image classifiers of timm as image encoders."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backbones.timm_body import Affine, fold, normalisation, plain_body
from vmos.config import TimmConfig
from vmos.encoder import Encoder
from vmos.ops import resize

STRIDES = (4, 8, 16)
CONTEXT_STRIDE = 32


def strides_of(config: TimmConfig) -> tuple[int, ...]:
    """The strides at which the encoder takes features from the classifier."""
    return (*STRIDES, CONTEXT_STRIDE) if config.context else STRIDES


class TimmEncoder(Encoder):
    """The part of a timm model up to stride 16 or 32, with its batch norms in its convolutions.

    Padding is the same on all sides, which is also what TensorFlow's "same" comes to on sides that
    are a multiple of 16 plus 1.

    Attributes:
        normalise: from the ImageNet mean and deviation to those that the model was trained with.
        standardise: for the features of each stride; training sets it, see `measure`.
        context: makes of the feature at stride 32 what is added to the one at stride 16; None
            without.
    """

    def __init__(self, config: TimmConfig, projected: int, joined: bool) -> None:
        """Raises ValueError where timm has no such model or it does not fit, see `TimmConfig`."""
        body = plain_body(config.name, strides_of(config))
        widths = body.feature_info.channels()
        super().__init__((widths[0], widths[1], widths[2]), projected, joined)
        self.normalise = normalisation(config.name)
        self.body = fold(body)
        self.standardise = nn.ModuleList(Affine(width) for width in widths)
        self.context = nn.Conv2d(widths[3], widths[2], 1) if config.context else None

    def pyramid(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `Encoder.pyramid`."""
        image = self.normalise(image).contiguous(memory_format=torch.channels_last)
        output, fine, coarse, *context = (
            affine(feature)
            for affine, feature in zip(self.standardise, self.body(image), strict=True)
        )
        if self.context is not None:
            coarse = coarse + enlarge(self.context(context[0]), coarse.shape[-2:])
        return output, fine, coarse

    @torch.no_grad()
    def measure(self, images: Tensor) -> None:
        """Make the features of these images, normalised [B,3,h,w], have mean 0 and deviation 1."""
        features = self.body(self.normalise(images))
        for affine, feature in zip(self.standardise.children(), features, strict=True):
            deviation, mean = torch.std_mean(feature, dim=(0, 2, 3))
            scale = 1 / deviation.clamp_min(1e-3)
            affine.load_state_dict({"scale": scale, "offset": -mean * scale})


def enlarge(context: Tensor, size: torch.Size) -> Tensor:
    """Bilinear enlargement of [B,C,h,w] to `size`, sides of which are 2h - 1 or 2h.

    A convolution of stride 2 has its centres on every second pixel from the first on. So a side of
    2h ends with a pixel past the last centre, which repeats its neighbour.
    """
    height, width = (2 * side - 1 for side in context.shape[-2:])
    larger = resize(context, (height, width))
    return F.pad(larger, (0, size[1] - width, 0, size[0] - height), mode="replicate")
