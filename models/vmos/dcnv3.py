"""Deformable convolution v3 in plain PyTorch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

POINTS = 9


class DCNv3(nn.Module):
    """Deformable convolution v3 (InternImage, DCNv3 operator) with a 3x3 kernel and stride 1.

    Every pixel and group samples its own nine positions, weighted by a softmax; positions
    outside the map read zero.
    """

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.offset = nn.Linear(width, groups * POINTS * 2)
        self.mask = nn.Linear(width, groups * POINTS)
        self.input_proj = nn.Linear(width, width)
        self.output_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B,h,w,C] -> [B,h,w,C]."""
        query = self.depthwise(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        query = F.gelu(self.norm(query))
        offset = self.offset(query).unflatten(3, (self.groups, POINTS, 2))
        weight = self.mask(query).unflatten(3, (self.groups, POINTS)).softmax(dim=-1)
        return self.output_proj(deformable_sample(self.input_proj(x), offset, weight))


def deformable_sample(value: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """Weighted sum of nine bilinear samples per pixel and group.

    Computed in float32: 16 bits cannot tell the columns of a wide map apart.

    Args:
        value: [B,h,w,G*c].
        offset: [B,h,w,G,9,2], (x, y) in pixels, added to the 3x3 positions, column by column.
        weight: [B,h,w,G,9].

    Returns:
        [B,h,w,G*c].
    """
    batch, height, width, groups, points, _ = offset.shape
    step = torch.arange(points, device=value.device)
    kernel = torch.stack([step // 3 - 1, step % 3 - 1], dim=-1)
    rows, columns = torch.meshgrid(
        torch.arange(height, device=value.device),
        torch.arange(width, device=value.device),
        indexing="ij",
    )
    origin = torch.stack([columns, rows], dim=-1)[:, :, None, None]
    extent = torch.tensor([width, height], device=value.device)
    where = (2 * (origin + kernel + offset.float()) + 1) / extent - 1
    where = where.permute(0, 3, 1, 2, 4, 5).reshape(batch * groups, height, width * points, 2)
    source = value.float().unflatten(3, (groups, -1)).permute(0, 3, 4, 1, 2).flatten(0, 1)
    samples = F.grid_sample(source, where, align_corners=False)
    samples = samples.unflatten(3, (width, points)).unflatten(0, (batch, groups))
    mixed = (samples * weight.permute(0, 3, 1, 2, 4).unsqueeze(2)).sum(dim=-1)
    return mixed.flatten(1, 2).permute(0, 2, 3, 1)
