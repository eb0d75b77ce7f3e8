"""Pure functions on tensors: layouts, labels, resizing, and attention without large matrices."""

import math
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from vmos.products import infers_on_cpu, multiplier

# Number of queries and keys whose scores exist at the same time; they fit in a CPU's cache.
QUERIES_AT_A_TIME = 256
KEYS_AT_A_TIME = 2048

# Side of the square tiles in which local attention is computed, in feature pixels.
TILE = 8

# Frames of up to this many pixels are matched in one piece, without tiles.
SMALL = 32 * 32

# Powers of two of scores up to this, in either direction, and their sums are far from the limits of
# float32, with all digits that count beside the largest.
MODERATE = 96

# Score of an invisible key: its softmax weight is exactly zero, but a query without any visible
# key (padding) still has finite values and gradients.
UNSEEN = -1e8

Size: TypeAlias = Sequence[int]
"""(height, width)."""


def to_tokens(grid: Tensor) -> Tensor:
    """[B,C,h,w] -> [B,h*w,C], row by row."""
    return grid.flatten(2).transpose(1, 2)


def to_grid(tokens: Tensor, size: Size) -> Tensor:
    """[B,h*w,C] -> [B,C,h,w]; `size` is (h, w). A convolution sees that channels are adjacent."""
    return tokens.unflatten(1, size).permute(0, 3, 1, 2)


def resize(grid: Tensor, size: Size) -> Tensor:
    """Bilinear resize of [B,C,h,w] to `size` (height, width), with aligned corner pixels."""
    if tuple(grid.shape[-2:]) == tuple(size):
        return grid
    return F.interpolate(grid, size=list(size), mode="bilinear", align_corners=True)


def one_hot(labels: Tensor, objects: int) -> Tensor:
    """Label map -> one channel per label.

    Args:
        labels: [B,h,w] integers; 0 is the background, k is object k.
        objects: number of objects with a channel.

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
        [B,N,C]. At any time only the scores of `QUERIES_AT_A_TIME` queries exist; without
        gradients, only against `KEYS_AT_A_TIME` keys.
    """
    query = query * query.shape[-1] ** -0.5
    key = key.contiguous()  # the bits of a product must not depend on where a memory was copied
    if not torch.is_grad_enabled():
        return _attend_in_parts(query, key, value)
    parts = [_attend_in_one(part, key, value) for part in query.split(QUERIES_AT_A_TIME, dim=1)]
    return torch.cat(parts, dim=1)


def _attend_in_one(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of scaled queries, in one piece."""
    scores = query @ key.transpose(1, 2)
    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype) @ value


def _attend_in_parts(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """`_attend_in_one` over one part of the keys after the other, in a CPU's cache.

    The weights are powers of two, which a CPU computes four times as fast as powers of e. If scores
    may be too large for them, the softmax is that of Milakov and Gimelshein, "Online normalizer
    calculation for softmax": it scales the sums down whenever a larger score appears.
    """
    query = query * math.log2(math.e)
    moderate = _have_moderate_scores(query, key)
    largest = query.new_full((*query.shape[:2], 1), -torch.inf, dtype=torch.float32)
    total = torch.zeros_like(largest)
    carried = largest.new_zeros(*query.shape[:2], value.shape[2])
    of_all = (part.split(QUERIES_AT_A_TIME, dim=1) for part in (query, largest, total, carried))
    queries = list(zip(*of_all, strict=True))
    of_memory = (part.split(KEYS_AT_A_TIME, dim=1) for part in (key, value))
    for some_keys, some_values in zip(*of_memory, strict=True):
        score = multiplier(some_keys, query.shape[1])
        carry = multiplier(some_values.mT, query.shape[1])
        for asked, before, sums, output in queries:
            scores = score(asked).float()
            if not moderate:
                now = torch.maximum(before, scores.amax(dim=-1, keepdim=True))
                fade = (before - now).exp2_()
                sums.mul_(fade)
                output.mul_(fade)
                scores.sub_(now)
                before.copy_(now)
            weights = scores.exp2_()
            sums.add_(weights.sum(dim=-1, keepdim=True))
            output.add_(carry(weights.to(value.dtype)))
    return carried.div_(total).to(value.dtype)


def _have_moderate_scores(query: Tensor, key: Tensor) -> bool:
    """Whether no product of a query and a key can exceed `MODERATE`; a GPU is not asked."""
    if not infers_on_cpu(query):
        return False
    longest = query.norm(dim=-1).max() * key.norm(dim=-1).max()
    return longest.item() <= MODERATE


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
        radius: reach of the window in each direction.

    Returns:
        [B,h*w,C]. Positions outside the frame get no weight. A frame of at most `SMALL` pixels is
        matched with the entire other frame; a larger one is processed tile by tile.
    """
    query = query * query.shape[-1] ** -0.5
    if size[0] * size[1] <= SMALL:
        return _small_local_attention(query, key, value, bias, size, radius)
    return _tiled_local_attention(query, key, value, bias, size, radius)


def _small_local_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, size: Size, radius: int
) -> Tensor:
    """`local_attention` with scaled queries, through a matrix over the entire frame."""
    rows, columns = (_displacements(side, side, 0, query.device) for side in size)
    index = _window_index(rows, columns, radius).expand(len(query), -1, -1)
    scores = query @ key.transpose(1, 2) + _with_unseen(bias).gather(2, index)
    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype) @ value


def _tiled_local_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, size: Size, radius: int
) -> Tensor:
    """`local_attention` with scaled queries, one square tile after the other.

    Each tile of queries sees its own pixels of the memory and a margin of `radius` around them.
    Without gradients a CPU takes one tile at a time, which fits in its cache, and otherwise a row
    of tiles is computed together.
    """
    height, width = size
    down, right = -height % TILE, -width % TILE
    asked = [_pad(part, size, (0, right, 0, down)) for part in (query, bias)]
    margins = (radius, radius + right, radius, radius + down)
    inside = key.new_ones(1, height * width, 1)
    remembered = [_pad(part, size, margins) for part in (key, value, inside)]
    reach = _displacements(TILE, TILE + 2 * radius, -radius, query.device)
    index = _window_index(reach, reach, radius)
    side = TILE + 2 * radius
    wide = TILE if infers_on_cpu(query) else width + right
    rows = []
    for top in range(0, height, TILE):
        row = []
        for left in range(0, width, wide):
            place = slice(top, top + TILE), slice(left, left + wide)
            around = slice(top, top + side), slice(left, left + wide + 2 * radius)
            tiles, tile_bias = (_tiles(part[:, *place], TILE) for part in asked)
            halo_key, halo_value, seen = (_tiles(part[:, *around], side) for part in remembered)
            tile_bias = _with_unseen(tile_bias).gather(-1, index.expand(*tiles.shape[:2], -1, -1))
            scores = tiles @ halo_key.mT + tile_bias
            scores = scores.masked_fill(seen[:, :, None, :, 0] == 0, UNSEEN)
            weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(value.dtype)
            carried = (weights @ halo_value).unflatten(2, (TILE, TILE))
            row.append(carried.transpose(1, 2).flatten(2, 3))
        rows.append(torch.cat(row, dim=2))
    return torch.cat(rows, dim=1)[:, :height, :width].flatten(1, 2)


def _pad(tokens: Tensor, size: Size, margins: tuple[int, int, int, int]) -> Tensor:
    """[B,h*w,C] -> [B,H,W,C] with zero margins (left, right, top, bottom)."""
    return F.pad(tokens.unflatten(1, size), (0, 0, *margins))


def _tiles(band: Tensor, side: int) -> Tensor:
    """[B,side,W,C] -> [B,tiles,side*side,C]: windows of width `side`, one every `TILE` columns."""
    windows = band.unfold(2, side, TILE)
    return windows.permute(0, 2, 1, 4, 3).flatten(2, 3)


def _with_unseen(bias: Tensor) -> Tensor:
    """Add one more displacement to the bias [...,n]: out of reach."""
    return F.pad(bias, (0, 1), value=UNSEEN)


def _displacements(queries: int, keys: int, start: int, device: torch.device) -> Tensor:
    """[queries,keys]: steps from each query of a line to each key; the keys begin at `start`."""
    places = start + torch.arange(keys, device=device)
    return places - torch.arange(queries, device=device)[:, None]


def _window_index(rows: Tensor, columns: Tensor, radius: int) -> Tensor:
    """The index of the displacement in the window from a query to a key.

    Takes the displacements along rows [h,h'] and columns [w,w']; returns [h*w,h'*w'], counted row
    by row; (2*radius+1)^2 stands for "out of reach".
    """
    window = 2 * radius + 1
    down, across = rows[:, None, :, None], columns[None, :, None, :]
    near = (down.abs() <= radius) & (across.abs() <= radius)
    index = torch.where(near, (down + radius) * window + across + radius, window**2)
    return index.flatten(2).flatten(0, 1)
