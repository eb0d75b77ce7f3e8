"""Image classifiers of timm as image encoders."""

import torch
from torch import Tensor, nn

from backbones.timm_body import Affine, fold, normalisation, plain_body
from vmos.config import TimmConfig
from vmos.encoder import Encoder

STRIDES = (4, 8, 16)


class TimmEncoder(Encoder):
    """The part of a timm model up to stride 16, with its batch norms inside its convolutions.

    Padding is the same on all sides, which is also what TensorFlow's "same" comes to on sides that
    are a multiple of 16 plus 1.

    Attributes:
        normalise: from the ImageNet mean and deviation to those that the model was trained with.
        standardise: for the features at strides 4, 8 and 16; training sets it, see `measure`.
    """

    def __init__(self, config: TimmConfig, projected: int, joined: bool) -> None:
        """Raises ValueError where timm has no such model or it does not fit, see `TimmConfig`."""
        body = plain_body(config.name, STRIDES)
        widths = body.feature_info.channels()
        super().__init__((widths[0], widths[1], widths[2]), projected, joined)
        self.normalise = normalisation(config.name)
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
