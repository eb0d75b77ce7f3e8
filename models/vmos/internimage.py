"""InternImage as image encoder, with its last level kept at the coarse stride."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vmos.config import InternImageConfig
from vmos.dcnv3 import DCNv3
from vmos.encoder import Encoder
from vmos.products import Linear, infers_on_cpu

MLP_RATIO = 4

AT_A_TIME = 2**19
"""Values between the two layers of an MLP that exist together on a CPU."""


class Stem(nn.Module):
    """Two 3x3 convolutions that bring the image to the finest stride."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width // 2, 3, stride=2, padding=1)
        self.norm1 = nn.LayerNorm(width // 2, eps=1e-6)
        self.conv2 = nn.Conv2d(width // 2, width, 3, stride=stride // 2, padding=1)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)

    def forward(self, image: Tensor) -> Tensor:
        """[B,3,H,W] -> [B,h,w,C]."""
        x = F.gelu(self.norm1(self.conv1(image).permute(0, 2, 3, 1)))
        x = self.conv2(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.norm2(x)


class Mlp(nn.Module):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = Linear(width, MLP_RATIO * width)
        self.fc2 = Linear(MLP_RATIO * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[...,C] -> [...,C]; on a CPU without gradients a few places at a time, in its cache."""
        if not infers_on_cpu(x):
            return self._compute(x)
        places = x.flatten(0, -2).split(max(AT_A_TIME // self.fc1.out_features, 1))
        return torch.cat([self._compute(some) for some in places]).view_as(x)

    def _compute(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Deformable convolution and MLP, each with a norm before it and a scale per channel after."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.dcn = DCNv3(width, groups)
        self.gamma1 = nn.Parameter(torch.ones(width))
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)
        self.gamma2 = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """[B,h,w,C] -> [B,h,w,C]."""
        x = torch.addcmul(x, self.gamma1, self.dcn(self.norm1(x)))
        return torch.addcmul(x, self.gamma2, self.mlp(self.norm2(x)))


class Downsample(nn.Module):
    """Halves the resolution with a 3x3 convolution."""

    def __init__(self, width: int, next_width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, next_width, 3, stride=2, padding=1, bias=False)
        self.norm = nn.LayerNorm(next_width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """[B,h,w,C] -> [B,(h+1)/2,(w+1)/2,C']."""
        return self.norm(self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class Level(nn.Module):
    """The blocks at one resolution, a norm, and the downsampling to the next one, if any."""

    def __init__(self, width: int, depth: int, groups: int, next_width: int | None) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Block(width, groups) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.downsample = nn.Identity() if next_width is None else Downsample(width, next_width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B,h,w,C] -> this level's feature [B,C,h,w] and the next level's input [B,h',w',C']."""
        x = self.norm(self.blocks(x))
        return x.permute(0, 3, 1, 2), self.downsample(x)


class InternImage(Encoder):
    """InternImage, with channels last internally."""

    def __init__(self, config: InternImageConfig, projected: int, joined: bool) -> None:
        widths = config.widths
        super().__init__((widths[0], widths[1], widths[-1]), projected, joined)
        self.stem = Stem(widths[0], config.stride)
        self.levels = nn.ModuleList(
            Level(width, depth, groups, widths[index + 1] if index < 2 else None)
            for index, (width, depth, groups) in enumerate(
                zip(widths, config.depths, config.groups, strict=True)
            )
        )

    def pyramid(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `Encoder.pyramid`."""
        x = self.stem(image)
        maps = []
        for level in self.levels:
            feature, x = level(x)
            maps.append(feature)
        return maps[0], maps[1], maps[-1]
