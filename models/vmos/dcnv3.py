"""Deformable convolution v3 in plain PyTorch."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vmos.products import Linear

POINTS = 9

AT_A_TIME = 2**16
"""Offsets of which the samples are computed together; what they need fits in a CPU's cache."""

MARGIN = 2
"""Width of the zero border around a map; samples further out are moved into it."""


class DCNv3(nn.Module):
    """Deformable convolution v3 (InternImage, DCNv3 operator) with a 3x3 kernel and stride 1.

    Every pixel and group samples its own nine positions, weighted by a softmax. Positions outside
    the map read zero.
    """

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.offset = Linear(width, groups * POINTS * 2)
        self.mask = Linear(width, groups * POINTS)
        self.input_proj = Linear(width, width)
        self.output_proj = Linear(width, width)
        self.sample = deformable_sample

    def forward(self, x: Tensor) -> Tensor:
        """[B,h,w,C] -> [B,h,w,C]."""
        query = self.depthwise(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        query = F.gelu(self.norm(query))
        offset = self.offset(query).unflatten(3, (self.groups, POINTS, 2))
        weight = shares(self.mask(query).unflatten(3, (self.groups, POINTS)))
        return self.output_proj(self.sample(self.input_proj(x), offset, weight))


def shares(logits: Tensor) -> Tensor:
    """The softmax over the last, short dimension [...,9].

    A CPU computes many at once, one in each lane of a register, if they are not adjacent.
    """
    if logits.device.type != "cpu":
        return logits.softmax(dim=-1)
    return logits.movedim(-1, 0).contiguous().softmax(dim=0).movedim(0, -1).contiguous()


def deformable_sample(value: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """Weighted sum of nine bilinear samples per pixel and group.

    Computed in float32, because 16 bits cannot distinguish the columns of a wide map.

    Args:
        value: [B,h,w,G*c].
        offset: [B,h,w,G,9,2], (x, y) in pixels, added to the 3x3 positions, column by column.
        weight: [B,h,w,G,9].

    Returns:
        [B,h,w,G*c].
    """
    way = _sample_rows if value.device.type == "cpu" else _sample_grid
    return way(value.float(), offset.float(), weight.float())


def _positions(offset: Tensor) -> Tensor:
    """The sample positions (x, y) in pixels, [B,h,w,G,9,2]."""
    _, height, width, _, points, _ = offset.shape
    step = torch.arange(points, device=offset.device)
    kernel = torch.stack([step // 3 - 1, step % 3 - 1], dim=-1)
    rows, columns = torch.meshgrid(
        torch.arange(height, device=offset.device),
        torch.arange(width, device=offset.device),
        indexing="ij",
    )
    origin = torch.stack([columns, rows], dim=-1)[:, :, None, None]
    return origin + kernel + offset


def _sample_grid(value: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """`deformable_sample` that computes all samples, then their weighted sum."""
    position = _positions(offset)
    batch, height, width, groups, points, _ = position.shape
    extent = torch.tensor([width, height], device=value.device)
    where = (2 * position + 1) / extent - 1
    where = where.permute(0, 3, 1, 2, 4, 5).reshape(batch * groups, height, width * points, 2)
    source = value.unflatten(3, (groups, -1)).permute(0, 3, 4, 1, 2).flatten(0, 1)
    samples = F.grid_sample(source, where, align_corners=False)
    samples = samples.unflatten(3, (width, points)).unflatten(0, (batch, groups))
    mixed = (samples * weight.permute(0, 3, 1, 2, 4).unsqueeze(2)).sum(dim=-1)
    return mixed.flatten(1, 2).permute(0, 2, 3, 1)


def _sample_rows(value: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """`deformable_sample` without single samples: weighted sums of rows of a table.

    A row has the channels of a group at a pixel; a sample is a mixture of four rows. On a CPU this
    is several times as fast, because the channels of a row are adjacent in memory. Without
    gradients, some lines of the map are sampled after the other.
    """
    _, height, width, groups, points, _ = offset.shape
    table = F.pad(value, (0, 0, MARGIN, MARGIN, MARGIN, MARGIN))
    step = torch.arange(points, dtype=torch.float32)
    columns = torch.arange(width)[:, None, None].expand(-1, groups, -1) + step // 3 - 1
    rows = torch.arange(height)[:, None, None, None] + (step % 3 - 1).expand(width, groups, -1)
    lines = height if torch.is_grad_enabled() else max(AT_A_TIME // columns.numel(), 1)
    parts = (each.split(lines, dim=1) for each in (offset, rows[None], weight))
    sampled = []
    for moved, down, shared in zip(*parts, strict=True):
        x, y = moved.movedim(-1, 0).contiguous()
        sampled.append(_sample_lines(table, x + columns, y + down, shared))
    return torch.cat(sampled, dim=1)


def _sample_lines(table: Tensor, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Samples at (x, y) in pixels, with their weights, all [B,lines,w,G,9], of a padded map."""
    batch, _, _, groups, points = x.shape
    _, rows, columns, channels = table.shape
    column, row = x.detach().floor(), y.detach().floor()
    right, below = x - column, y - row
    lower = weight * below
    upper = weight - lower
    upper_right, lower_right = upper * right, lower * right
    mixture = (upper - upper_right, upper_right, lower - lower_right, lower_right)
    line = columns * groups
    frame = torch.arange(batch, dtype=torch.int32)[:, None, None, None, None] * (rows * line)
    group = torch.arange(groups, dtype=torch.int32)[:, None].expand(-1, points).contiguous()
    down = row.clamp_(-MARGIN, rows - 2 * MARGIN).add_(MARGIN).int()
    across = column.clamp_(-MARGIN, columns - 2 * MARGIN).add_(MARGIN).int()
    first = down.mul_(line).add_(across.mul_(groups)).add_(group).add_(frame).view(-1, points)
    flat = table.view(-1, channels // groups)
    total: Tensor = sum(
        _WeightedRows.apply(flat[start:], first, share.view(-1, points))
        for start, share in zip((0, groups, line, line + groups), mixture, strict=True)
    )
    return total.view(*x.shape[:3], channels)


class _WeightedRows(torch.autograd.Function):
    """Weighted sums of rows of a table, with a gradient that is computed in the same way."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
        """Table [R,c], row indices [N,k], their weights [N,k] -> [N,c]."""
        ctx.save_for_backward(table, index, weight)
        return F.embedding_bag(index, table, per_sample_weights=weight, mode="sum")

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, Tensor]:
        table, index, weight = ctx.saved_tensors
        grad = grad.contiguous()
        with torch.enable_grad():
            variable = weight.detach().requires_grad_()
            sums = F.embedding_bag(index, table, per_sample_weights=variable, mode="sum")
        (to_weight,) = torch.autograd.grad(sums, variable, grad)
        # the gradient of a row of the table is a weighted sum of rows of the output's gradient
        read, order = index.flatten().sort()
        begin = torch.searchsorted(read, torch.arange(len(table), dtype=read.dtype))
        reader = order.div(index.shape[1], rounding_mode="floor")
        to_table = F.embedding_bag(
            reader, grad, begin, per_sample_weights=weight.flatten()[order], mode="sum"
        )
        return to_table, None, to_weight
