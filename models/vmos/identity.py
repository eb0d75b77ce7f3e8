"""The identity bank: object masks -> identity embedding."""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from vmos.config import VMOSConfig
from vmos.ops import Size, one_hot, to_tokens
from vmos.products import infers_on_cpu


class Identity(NamedTuple):
    """The identity embedding of the objects, as tokens for propagation; [B,tokens,C].

    Attributes:
        coarse: at the coarse stride.
        fine: at the fine stride.
    """

    coarse: Tensor
    fine: Tensor


class IdentityBank(nn.Module):
    """Embeds a label map patch by patch (AOT, identification mechanism; DeAOT)."""

    def __init__(self, config: VMOSConfig) -> None:
        super().__init__()
        self.objects = config.objects
        stride, channels = config.coarse_stride, config.objects + 1
        _, fine, coarse = config.widths
        self.coarse = nn.Conv2d(channels, coarse, stride + 1, stride, stride // 2)
        self.coarse_norm = nn.LayerNorm(coarse)
        # the released model computes the fine embedding at the coarse stride, too, and enlarges it
        stride = config.fine_stride if config.fine_identity else stride
        self.fine = nn.Conv2d(channels, fine, stride + 1, stride, stride // 2)
        self.fine_norm = nn.LayerNorm(fine)

    def forward(self, labels: Tensor, fine_size: Size) -> Identity:
        """Label map [B,h,w] at the network's input size -> identity embedding.

        Labels above the number of objects are ignored. `fine_size` is the size (h, w) of the fine
        feature map.
        """
        masks = one_hot(labels, self._objects_in(labels)).to(self.coarse.weight.dtype)
        fine = self.fine_norm(_embed(self.fine, masks).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return Identity(
            coarse=self.coarse_norm(to_tokens(_embed(self.coarse, masks))),
            fine=to_tokens(F.interpolate(fine, size=list(fine_size), mode="nearest")),
        )

    def _objects_in(self, labels: Tensor) -> int:
        """The number of objects to embed; a CPU leaves out the last ones that are not there."""
        return min(int(labels.max()), self.objects) if infers_on_cpu(labels) else self.objects


def _embed(conv: nn.Conv2d, masks: Tensor) -> Tensor:
    """The convolution of the first of its channels, as if the others were zero."""
    weight = conv.weight[:, : masks.shape[1]]
    return F.conv2d(masks, weight, conv.bias, conv.stride, conv.padding)
