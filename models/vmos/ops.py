"""Pure functions on tensors: layouts, labels, resizing, attention without large matrices."""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

# Attention scores held at a time, in elements: 64 MiB in float32.
SCORES_AT_A_TIME = 2**24

# Side of the square tiles in which local attention is computed, in feature pixels.
TILE = 8

# Score of a key that must not be seen: its softmax weight is exactly zero, and yet a query
# without any visible key (padding) has finite values and gradients.
UNSEEN = -1e8

Size: TypeAlias = Sequence[int]
"""(height, width)."""


def to_tokens(grid: Tensor) -> Tensor:
    """[B,C,h,w] -> [B,h*w,C], row by row."""
    return grid.flatten(2).transpose(1, 2)


def to_grid(tokens: Tensor, size: Size) -> Tensor:
    """[B,h*w,C] -> [B,C,h,w]; `size` is (h, w)."""
    return tokens.transpose(1, 2).unflatten(2, size)


def resize(grid: Tensor, size: Size) -> Tensor:
    """Bilinear resize of [B,C,h,w] to `size` (height, width), corner pixels onto corner pixels."""
    if tuple(grid.shape[-2:]) == tuple(size):
        return grid
    return F.interpolate(grid, size=list(size), mode="bilinear", align_corners=True)


def one_hot(labels: Tensor, objects: int) -> Tensor:
    """Label map -> one channel per label.

    Args:
        labels: [B,h,w] integers; 0 is the background, k is object k.
        objects: objects that have a channel.

    Returns:
        [B,objects+1,h,w] float32 of 0 and 1; a label above `objects` is 0 in every channel.
    """
    channels = torch.arange(objects + 1, device=labels.device)
    return (labels[:, None] == channels[:, None, None]).float()


def global_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(Q K^T / sqrt(a)) V over all tokens, a few queries at a time.

    Args:
        query: [B,N,a].
        key: [B,M,a].
        value: [B,M,C].

    Returns:
        [B,N,C]. At most `SCORES_AT_A_TIME` scores exist at once (one query's, if those are more).
    """
    query = query * query.shape[-1] ** -0.5
    key = key.transpose(1, 2)
    rows = max(1, SCORES_AT_A_TIME // (key.shape[0] * key.shape[2]))
    parts = [
        torch.softmax(part @ key, dim=-1, dtype=torch.float32).to(value.dtype) @ value
        for part in query.split(rows, dim=1)
    ]
    return torch.cat(parts, dim=1)


def local_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, size: Size, radius: int
) -> Tensor:
    """Attention of every pixel to the square window around it in another frame.

    Args:
        query: [B,h*w,a].
        key: [B,h*w,a].
        value: [B,h*w,C].
        bias: [B,h*w,(2*radius+1)^2], added to the scaled scores; displacements row by row.
        size: (h, w).
        radius: reach of the window each way.

    Returns:
        [B,h*w,C]. Positions outside the frame get no weight. Works on one row of square tiles at
        a time, each with a margin of `radius`, so that no matrix over the whole frame exists.
    """
    height, width = size
    query = query * query.shape[-1] ** -0.5
    down, right = -height % TILE, -width % TILE
    query_grid = _pad(torch.cat([query, bias], dim=2), size, (0, right, 0, down))
    margins = (radius, radius + right, radius, radius + down)
    memory_grid = _pad(torch.cat([key, value], dim=2), size, margins)
    inside = _pad(key.new_ones(1, height * width, 1), size, margins)
    index = _displacements(radius, query.device)
    split = [query.shape[2], bias.shape[2]]
    side = TILE + 2 * radius
    rows = []
    for top in range(0, height, TILE):
        tiles, row_bias = _tiles(query_grid[:, top : top + TILE], TILE).split(split, dim=-1)
        halo = _tiles(memory_grid[:, top : top + side], side)
        seen = _tiles(inside[:, top : top + side], side)[..., 0].bool()
        row_bias = F.pad(row_bias, (0, 1), value=UNSEEN)
        row_bias = row_bias.gather(-1, index.expand(*row_bias.shape[:2], -1, -1))
        halo_key, halo_value = halo.split([key.shape[2], value.shape[2]], dim=-1)
        scores = tiles @ halo_key.transpose(-1, -2) + row_bias
        scores = scores.masked_fill(~seen[:, :, None], UNSEEN)
        weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
        carried = (weights @ halo_value).unflatten(2, (TILE, TILE))
        rows.append(carried.transpose(1, 2).flatten(2, 3))
    return torch.cat(rows, dim=1)[:, :height, :width].flatten(1, 2)


def _pad(tokens: Tensor, size: Size, margins: tuple[int, int, int, int]) -> Tensor:
    """[B,h*w,C] -> [B,H,W,C] with zero margins (left, right, top, bottom)."""
    return F.pad(tokens.unflatten(1, size), (0, 0, *margins))


def _tiles(band: Tensor, side: int) -> Tensor:
    """[B,side,W,C] -> [B,tiles,side*side,C]: windows of width `side`, one every `TILE` columns."""
    windows = band.unfold(2, side, TILE)
    return windows.permute(0, 2, 1, 4, 3).flatten(2, 3)


def _displacements(radius: int, device: torch.device) -> Tensor:
    """[TILE^2,(TILE+2*radius)^2]: which displacement leads from a tile's pixel to a halo pixel.

    Displacements are counted row by row; (2*radius+1)^2 stands for "out of reach".
    """
    window = 2 * radius + 1
    reach = torch.arange(TILE + 2 * radius, device=device) - torch.arange(
        TILE, device=device
    ).unsqueeze(1)
    near = (reach >= 0) & (reach < window)
    rows, columns = reach[:, None, :, None], reach[None, :, None, :]
    index = torch.where(
        near[:, None, :, None] & near[None, :, None, :], rows * window + columns, window**2
    )
    return index.flatten(2).flatten(0, 1)
