"""Triton kernels for the slow parts of VMOS; the plain functions are their reference.

They are for inference on CUDA and have no gradients; `fuse` installs them in a model. Compilation
depends on the data type and the widths of the network, never on the size of a frame or of memory.
Under TRITON_INTERPRET=1 they accept tensors on the CPU, too.
"""

from typing import Any

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

from vmos import dcnv3, ops
from vmos.attention import LongTermAttention, SelfAttention, ShortTermAttention
from vmos.dcnv3 import DCNv3
from vmos.ops import Size
from vmos.vmos import VMOS

_PAIRS = 64
"""Pairs of pixel and group that one program samples."""

_TILE = 8
"""Side of the square of queries that one program matches with its window."""

_KEYS = 64
"""Keys that a program matches at a time."""

_CHANNELS = 256
"""Most channels of values that one program carries; each such part recomputes the scores."""

_SHARED_MEMORY = 160 * 1024
"""If a GPU has less of it, in bytes, a program carries half as many channels."""

_SIDE = 16
"""The smallest matrices that tensor cores multiply."""


def fuse(model: VMOS, fused: bool = True) -> None:
    """Install these kernels in the model, or with `fused=False` the plain functions."""
    for module in model.modules():
        if isinstance(module, DCNv3):
            module.sample = deformable_sample if fused else dcnv3.deformable_sample
        elif isinstance(module, ShortTermAttention):
            module.carry = local_attention if fused else ops.local_attention
        elif isinstance(module, LongTermAttention | SelfAttention):
            module.carry = global_attention if fused else ops.global_attention


def deformable_sample(value: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """Like `vmos.dcnv3.deformable_sample`; the result has the type of `value`."""
    _refuse_gradients(value, offset, weight)
    batch, height, width, groups, points, _ = offset.shape
    channels = value.shape[3] // groups
    pairs = batch * height * width * groups
    out = torch.empty(value.shape, dtype=value.dtype, device=value.device)
    _sample[(triton.cdiv(pairs, _PAIRS),)](
        *(part.contiguous() for part in (value, offset, weight)),
        out,
        pairs,
        height,
        width,
        GROUPS=groups,
        CHANNELS=channels,
        POINTS=points,
        PAIRS=_PAIRS,
        PADDED=triton.next_power_of_2(channels),
        enable_fp_fusion=True,
    )
    return out


def global_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Like `vmos.ops.global_attention`, but stores no scores."""
    _refuse_gradients(query, key, value)
    batch, tokens, depth = query.shape
    out = torch.empty(batch, tokens, value.shape[2], dtype=value.dtype, device=value.device)
    queries = 128 if value.element_size() == 2 else 32
    sizes = _attention_sizes(depth, value.shape[2], _most_channels(value.device))
    grid = (triton.cdiv(tokens, queries), triton.cdiv(value.shape[2], sizes["CHANNELS"]), batch)
    _attend_globally[grid](
        *(part.contiguous() for part in (query, key, value)),
        out,
        tokens,
        key.shape[1],
        depth**-0.5,
        QUERIES=queries,
        **sizes,
    )
    return out


def local_attention(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor, size: Size, radius: int
) -> Tensor:
    """Like `vmos.ops.local_attention`, but stores no scores."""
    _refuse_gradients(query, key, value, bias)
    batch, _, depth = query.shape
    height, width = size
    out = torch.empty(value.shape, dtype=value.dtype, device=value.device)
    sizes = _attention_sizes(depth, value.shape[2], _most_channels(value.device))
    tiles = triton.cdiv(height, _TILE) * triton.cdiv(width, _TILE)
    grid = (tiles, triton.cdiv(value.shape[2], sizes["CHANNELS"]), batch)
    _attend_locally[grid](
        *(part.contiguous() for part in (query, key, value, bias)),
        out,
        height,
        width,
        depth**-0.5,
        RADIUS=radius,
        TILE=_TILE,
        **sizes,
    )
    return out


def _most_channels(device: torch.device) -> int:
    if device.type != "cuda":
        return _CHANNELS
    properties = torch.cuda.get_device_properties(device)
    roomy = properties.shared_memory_per_block_optin >= _SHARED_MEMORY
    return _CHANNELS if roomy else _CHANNELS // 2


def _attention_sizes(depth: int, width: int, most_channels: int = _CHANNELS) -> dict[str, Any]:
    """The compile-time sizes of an attention, from the channels of keys and of values."""
    return {
        "DEPTH": depth,
        "WIDTH": width,
        "KEYS": _KEYS,
        "DEPTH_PADDED": max(_SIDE, triton.next_power_of_2(depth)),
        "CHANNELS": max(_SIDE, min(most_channels, triton.next_power_of_2(width))),
        "num_warps": 8,
        "num_stages": 2,
        "enable_fp_fusion": True,
    }


def _refuse_gradients(*tensors: Tensor) -> None:
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        raise RuntimeError("the kernels have no gradients: train a model that was not fused")


@triton.jit(do_not_specialize=["pairs", "height", "width"])  # type: ignore[untyped-decorator]
def _sample(
    value,
    offset,
    weight,
    out,
    pairs,
    height,
    width,
    GROUPS: tl.constexpr,
    CHANNELS: tl.constexpr,
    POINTS: tl.constexpr,
    PAIRS: tl.constexpr,
    PADDED: tl.constexpr,
):
    """Each program handles some pairs of pixel and group, with all channels of the group."""
    pair = tl.program_id(0) * PAIRS + tl.arange(0, PAIRS)
    channel = tl.arange(0, PADDED)
    known = pair < pairs
    pixel = pair // GROUPS
    column, row = pixel % width, pixel // width % height
    frame = pixel // width // height * height
    group = value + (pair % GROUPS) * CHANNELS
    total = tl.full((PAIRS, PADDED), 0.0, tl.float32)
    for point in range(POINTS):
        place = pair * POINTS + point
        strength = tl.load(weight + place, known, 0.0).to(tl.float32)
        across = tl.load(offset + 2 * place, known, 0.0).to(tl.float32)
        down = tl.load(offset + 2 * place + 1, known, 0.0).to(tl.float32)
        # clip to a place where every corner is zero, so that the position fits an integer
        x = tl.minimum(tl.maximum(column + (point // 3 - 1) + across, -2.0), width + 1.0)
        y = tl.minimum(tl.maximum(row + (point % 3 - 1) + down, -2.0), height + 1.0)
        left, top = tl.floor(x), tl.floor(y)
        for corner in tl.static_range(4):
            right, low = corner % 2, corner // 2
            share = right * (x - left) + (1 - right) * (left + 1 - x)
            share = share * (low * (y - top) + (1 - low) * (top + 1 - y))
            cx, cy = left.to(tl.int32) + right, top.to(tl.int32) + low
            inside = known & (cx >= 0) & (cx < width) & (cy >= 0) & (cy < height)
            source = group + ((frame + cy) * width + cx) * (GROUPS * CHANNELS)
            mask = inside[:, None] & (channel < CHANNELS)[None, :]
            sample = tl.load(source[:, None] + channel[None, :], mask, 0.0)
            total += (share * strength)[:, None] * sample.to(tl.float32)
    target = out + (pair * CHANNELS)[:, None] + channel[None, :]
    mask = known[:, None] & (channel < CHANNELS)[None, :]
    tl.store(target, total.to(out.dtype.element_ty), mask)


@triton.jit
def _absorb(scores, values, carried, total, peak):
    """One step of a softmax that gets its scores [q,k] and values [k,c] block by block."""
    higher = tl.maximum(peak, tl.max(scores, 1))
    shrink = tl.exp(peak - higher)
    weights = tl.exp(scores - higher[:, None])
    total = total * shrink + tl.sum(weights, 1)
    carried = carried * shrink[:, None]
    carried = tl.dot(weights.to(values.dtype), values, carried, input_precision="ieee")
    return carried, total, higher


@triton.jit(do_not_specialize=["tokens", "memory"])  # type: ignore[untyped-decorator]
def _attend_globally(
    query,
    key,
    value,
    out,
    tokens,
    memory,
    scale,
    DEPTH: tl.constexpr,
    WIDTH: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
    DEPTH_PADDED: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Each program handles some queries of one video and some channels of the values."""
    at = tl.program_id(0) * QUERIES + tl.arange(0, QUERIES)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    video = tl.program_id(2).to(tl.int64)
    deep = tl.arange(0, DEPTH_PADDED)
    rows = (video * tokens + at)[:, None]
    asked = tl.load(
        query + rows * DEPTH + deep[None, :], (at < tokens)[:, None] & (deep < DEPTH)[None, :], 0.0
    )
    carried = tl.full((QUERIES, CHANNELS), 0.0, tl.float32)
    total = tl.full((QUERIES,), 0.0, tl.float32)
    peak = tl.full((QUERIES,), -1e8, tl.float32)
    for start in range(0, memory, KEYS):
        where = start + tl.arange(0, KEYS)
        seen = where < memory
        lines = (video * memory + where)[:, None]
        keys = tl.load(
            key + lines * DEPTH + deep[None, :], seen[:, None] & (deep < DEPTH)[None, :], 0.0
        )
        values = tl.load(
            value + lines * WIDTH + channel[None, :],
            seen[:, None] & (channel < WIDTH)[None, :],
            0.0,
        )
        scores = tl.dot(asked, tl.trans(keys), input_precision="ieee") * scale
        scores = tl.where(seen[None, :], scores, -1e8)
        carried, total, peak = _absorb(scores, values, carried, total, peak)
    tl.store(
        out + rows * WIDTH + channel[None, :],
        (carried / total[:, None]).to(out.dtype.element_ty),
        (at < tokens)[:, None] & (channel < WIDTH)[None, :],
    )


@triton.jit(do_not_specialize=["height", "width"])  # type: ignore[untyped-decorator]
def _attend_locally(
    query,
    key,
    value,
    bias,
    out,
    height,
    width,
    scale,
    RADIUS: tl.constexpr,
    TILE: tl.constexpr,
    DEPTH: tl.constexpr,
    WIDTH: tl.constexpr,
    KEYS: tl.constexpr,
    DEPTH_PADDED: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Each program handles a tile of queries of one video and some channels of the values."""
    REACH: tl.constexpr = TILE + 2 * RADIUS
    WINDOW: tl.constexpr = 2 * RADIUS + 1
    across = (width + TILE - 1) // TILE
    step = tl.arange(0, TILE * TILE)
    row = tl.program_id(0) // across * TILE + step // TILE
    column = tl.program_id(0) % across * TILE + step % TILE
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    video = tl.program_id(2).to(tl.int64) * height * width
    deep = tl.arange(0, DEPTH_PADDED)
    real = (row < height) & (column < width)
    rows = (video + row * width + column)[:, None]
    asked = tl.load(
        query + rows * DEPTH + deep[None, :], real[:, None] & (deep < DEPTH)[None, :], 0.0
    )
    carried = tl.full((TILE * TILE, CHANNELS), 0.0, tl.float32)
    total = tl.full((TILE * TILE,), 0.0, tl.float32)
    peak = tl.full((TILE * TILE,), -1e8, tl.float32)
    for start in range(0, REACH * REACH, KEYS):
        place = start + tl.arange(0, KEYS)
        key_row = tl.program_id(0) // across * TILE - RADIUS + place // REACH
        key_column = tl.program_id(0) % across * TILE - RADIUS + place % REACH
        seen = (place < REACH * REACH) & (key_row >= 0) & (key_row < height)
        seen = seen & (key_column >= 0) & (key_column < width)
        lines = (video + key_row * width + key_column)[:, None]
        keys = tl.load(
            key + lines * DEPTH + deep[None, :], seen[:, None] & (deep < DEPTH)[None, :], 0.0
        )
        values = tl.load(
            value + lines * WIDTH + channel[None, :],
            seen[:, None] & (channel < WIDTH)[None, :],
            0.0,
        )
        down = key_row[None, :] - row[:, None] + RADIUS
        right = key_column[None, :] - column[:, None] + RADIUS
        near = (down >= 0) & (down < WINDOW) & (right >= 0) & (right < WINDOW)
        near = near & seen[None, :] & real[:, None]
        lean = tl.load(bias + rows * (WINDOW * WINDOW) + down * WINDOW + right, near, 0.0)
        scores = tl.dot(asked, tl.trans(keys), input_precision="ieee") * scale
        scores = tl.where(near, scores + lean.to(tl.float32), -1e8)
        carried, total, peak = _absorb(scores, values, carried, total, peak)
    tl.store(
        out + rows * WIDTH + channel[None, :],
        (carried / total[:, None]).to(out.dtype.element_ty),
        real[:, None] & (channel < WIDTH)[None, :],
    )
