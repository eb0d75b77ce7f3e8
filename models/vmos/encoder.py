"""What every image encoder gives."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vmos.ops import resize


class Features(NamedTuple):
    """The features of a frame; maps [B,C,h,w].

    Attributes:
        output: at the head's stride.
        fine: at the fine stride, twice the head's.
        coarse: at the coarse stride, four times the head's, projected to the coarse width.
    """

    output: Tensor
    fine: Tensor
    coarse: Tensor


class Encoder(nn.Module, ABC):
    """An image encoder with features at three strides and a 1x1 projector.

    Attributes:
        skip_widths: channels of `Features.output` and of `Features.fine`.
        joined: whether `Features.fine` also holds the enlarged coarse feature.
    """

    def __init__(self, widths: tuple[int, int, int], projected: int, joined: bool) -> None:
        """`widths`: channels of what `pyramid` returns; `projected`: of `Features.coarse`."""
        super().__init__()
        output, fine, coarse = widths
        self.skip_widths = (output, fine + coarse if joined else fine)
        self.joined = joined
        self.projector = nn.Conv2d(coarse, projected, 1)

    @abstractmethod
    def pyramid(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Image as in `forward` -> features [B,C,h,w] at the head's, fine and coarse stride."""

    def forward(self, image: Tensor) -> Features:
        """Encode images.

        Args:
            image: [B,3,h,w] RGB, normalised with the ImageNet mean and deviation; sides are
                multiples of the coarse stride plus 1.
        """
        output, fine, coarse = self.pyramid(image)
        if self.joined:
            fine = torch.cat([fine, resize(coarse, fine.shape[-2:])], dim=1)
        return Features(output=output, fine=fine, coarse=self.projector(coarse))
