"""Triton kernels for the slow parts of VMOS; the plain functions are their reference.

They are for inference on CUDA and have no gradients; `install` puts them into a model. Compilation
depends on the data type and the widths of the network, never on the size of a frame or of memory.
Under TRITON_INTERPRET=1 they accept tensors on the CPU, too.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

from vmos import dcnv3, ops
from vmos.attention import LongTermAttention, SelfAttention, ShortTermAttention
from vmos.dcnv3 import DCNv3
from vmos.ops import Size
from vmos.vmos import VMOS

_SHARED_MEMORY = 160 * 1024
"""If a GPU has less of it, in bytes, a program carries half as many channels."""

_SIDE = 16
"""The smallest matrices that tensor cores multiply."""

_MOST_SPLITS = 8
_MERGED_ROWS, _MERGED_CHANNELS = 16, 128


class Launch(NamedTuple):
    """How the work of a kernel is divided among programs.

    Attributes:
        queries: pairs of pixel and group that a program samples, or queries that it matches with
            all keys. With windows, they are a square, and this is its side.
        keys: keys that a program matches at a time.
        channels: most channels of values that a program carries; each such part recomputes the
            scores.
        warps, stages: see Triton.
    """

    queries: int
    keys: int = 64
    channels: int = 256
    warps: int = 8
    stages: int = 2


SAMPLING = Launch(64, warps=4, stages=3)
LOCAL = Launch(8)
GLOBAL = {2: Launch(128), 4: Launch(32)}
"""By the bytes of an element."""


def install(model: VMOS, functions: Mapping[str, Callable[..., Tensor]]) -> None:
    """Make the model use these functions, which have names of `FUSED` or `PLAIN`."""
    for name, function in functions.items():
        users, attribute = _USERS[name]
        for module in model.modules():
            if isinstance(module, users):
                setattr(module, attribute, function)


def fuse(model: VMOS) -> None:
    """Make the model use all kernels."""
    install(model, FUSED)


def deformable_sample(
    value: Tensor, offset: Tensor, weight: Tensor, launch: Launch = SAMPLING
) -> Tensor:
    """Like `vmos.dcnv3.deformable_sample`; the result has the type of `value`."""
    _refuse_gradients(value, offset, weight)
    batch, height, width, groups, points, _ = offset.shape
    channels = value.shape[3] // groups
    pairs = batch * height * width * groups
    out = torch.empty(value.shape, dtype=value.dtype, device=value.device)
    with torch.cuda.device_of(value):
        _sample[(triton.cdiv(pairs, launch.queries),)](
            *(part.contiguous() for part in (value, offset, weight)),
            out,
            pairs,
            height,
            width,
            **_sampling_sizes(groups, channels, points, launch),
        )
    return out


def global_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    launch: Launch | None = None,
    splits: int | None = None,
) -> Tensor:
    """Like `vmos.ops.global_attention`, but stores no scores.

    `splits`: parts of the keys that different programs match; a second kernel merges what they
    carried. By default as many as fill the device, see `best_splits`.
    """
    _refuse_gradients(query, key, value)
    batch, tokens, depth = query.shape
    memory, width = value.shape[1:]
    device = value.device
    launch = _fitting(launch or GLOBAL[2 if value.element_size() == 2 else 4], device)
    sizes = _attention_sizes(depth, width, launch)
    tiles, parts = triton.cdiv(tokens, launch.queries), triton.cdiv(width, sizes["CHANNELS"])
    blocks = triton.cdiv(memory, launch.keys)
    if splits is None:
        splits = best_splits(tiles * parts * batch, blocks, _processors(device))
    span = triton.cdiv(blocks, splits) * launch.keys
    splits = triton.cdiv(memory, span)
    out = torch.empty(batch, tokens, width, dtype=value.dtype, device=device)
    sums = torch.empty(splits, *out.shape, device=device)
    shares = torch.empty(2, splits, batch, tokens, device=device)
    rows = batch * tokens
    with torch.cuda.device_of(value):
        _attend_globally[(tiles, parts, batch * splits)](
            *(part.contiguous() for part in (query, key, value)),
            sums,
            shares,
            tokens,
            memory,
            span,
            batch,
            depth**-0.5,
            QUERIES=launch.queries,
            **sizes,
        )
        _merge[(triton.cdiv(rows, _MERGED_ROWS), triton.cdiv(width, _MERGED_CHANNELS))](
            sums, shares, out, rows, splits, **_merging_sizes(width)
        )
    return out


def best_splits(programs: int, blocks: int, processors: int) -> int:
    """In how many parts to split the keys so that the processors are evenly busy.

    `programs` run without splitting, each over `blocks` blocks of keys. A processor runs one at a
    time. A part more costs a pass over what it carried, so of nearly equal numbers this takes the
    smallest.
    """

    def cost(splits: int) -> float:
        rounds = triton.cdiv(programs * splits, processors)
        return rounds * (triton.cdiv(blocks, splits) / blocks + 0.02 * (splits - 1))

    return min(range(1, min(_MOST_SPLITS, blocks) + 1), key=cost)


def local_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Tensor,
    size: Size,
    radius: int,
    launch: Launch | None = None,
) -> Tensor:
    """Like `vmos.ops.local_attention`, but stores no scores."""
    _refuse_gradients(query, key, value, bias)
    launch = _fitting(launch or LOCAL, value.device)
    batch, _, depth = query.shape
    height, width = size
    out = torch.empty(value.shape, dtype=value.dtype, device=value.device)
    sizes = _attention_sizes(depth, value.shape[2], launch)
    tiles = triton.cdiv(height, launch.queries) * triton.cdiv(width, launch.queries)
    grid = (tiles, triton.cdiv(value.shape[2], sizes["CHANNELS"]), batch)
    with torch.cuda.device_of(value):
        _attend_locally[grid](
            *(part.contiguous() for part in (query, key, value, bias)),
            out,
            height,
            width,
            depth**-0.5,
            RADIUS=radius,
            TILE=launch.queries,
            **sizes,
        )
    return out


FUSED: dict[str, Callable[..., Tensor]] = {
    "deformable_sample": deformable_sample,
    "local_attention": local_attention,
    "global_attention": global_attention,
}
"""The kernels by name."""

PLAIN: dict[str, Callable[..., Tensor]] = {
    "deformable_sample": dcnv3.deformable_sample,
    "local_attention": ops.local_attention,
    "global_attention": ops.global_attention,
}
"""The plain functions that they replace."""

_USERS: dict[str, tuple[tuple[type, ...], str]] = {
    "deformable_sample": ((DCNv3,), "sample"),
    "local_attention": ((ShortTermAttention,), "carry"),
    "global_attention": ((LongTermAttention, SelfAttention), "carry"),
}


def _fitting(launch: Launch, device: torch.device) -> Launch:
    """The launch, with fewer channels on a GPU with little shared memory."""
    if device.type != "cuda":
        return launch
    properties = torch.cuda.get_device_properties(device)
    roomy = properties.shared_memory_per_block_optin >= _SHARED_MEMORY
    return launch if roomy else launch._replace(channels=launch.channels // 2)


def _processors(device: torch.device) -> int:
    if device.type != "cuda":
        return 1
    return torch.cuda.get_device_properties(device).multi_processor_count


def _sampling_sizes(groups: int, channels: int, points: int, launch: Launch) -> dict[str, Any]:
    """The compile-time sizes of sampling."""
    return {
        "GROUPS": groups,
        "CHANNELS": channels,
        "POINTS": points,
        "PAIRS": launch.queries,
        "PADDED": triton.next_power_of_2(channels),
        "num_warps": launch.warps,
        "num_stages": launch.stages,
        "enable_fp_fusion": True,
    }


def _attention_sizes(depth: int, width: int, launch: Launch) -> dict[str, Any]:
    """The compile-time sizes of an attention, from the channels of keys and of values."""
    return {
        "DEPTH": depth,
        "WIDTH": width,
        "KEYS": launch.keys,
        "DEPTH_PADDED": max(_SIDE, triton.next_power_of_2(depth)),
        "CHANNELS": max(_SIDE, min(launch.channels, triton.next_power_of_2(width))),
        "num_warps": launch.warps,
        "num_stages": launch.stages,
        "enable_fp_fusion": True,
    }


def _merging_sizes(width: int) -> dict[str, Any]:
    """The compile-time sizes of the second pass over split keys."""
    return {
        "WIDTH": width,
        "ROWS": _MERGED_ROWS,
        "CHANNELS": _MERGED_CHANNELS,
        "num_warps": 4,
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


@triton.jit(do_not_specialize=["tokens", "memory", "span", "videos"])  # type: ignore[untyped-decorator]
def _attend_globally(
    query,
    key,
    value,
    sums,
    shares,
    tokens,
    memory,
    span,
    videos,
    scale,
    DEPTH: tl.constexpr,
    WIDTH: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
    DEPTH_PADDED: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Each program handles some queries of one video, some channels, and `span` of the keys.

    It stores its sums, undivided, and in `shares` the peak of its scores and the sum of its
    weights. The parts lie one behind the other, each with all videos.
    """
    at = tl.program_id(0) * QUERIES + tl.arange(0, QUERIES)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    video = (tl.program_id(2) % videos).to(tl.int64)
    begin = tl.program_id(2) // videos * span
    deep = tl.arange(0, DEPTH_PADDED)
    rows = (video * tokens + at)[:, None]
    asked = tl.load(
        query + rows * DEPTH + deep[None, :], (at < tokens)[:, None] & (deep < DEPTH)[None, :], 0.0
    )
    carried = tl.full((QUERIES, CHANNELS), 0.0, tl.float32)
    total = tl.full((QUERIES,), 0.0, tl.float32)
    peak = tl.full((QUERIES,), -1e8, tl.float32)
    for start in range(begin, tl.minimum(begin + span, memory), KEYS):
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
    line = tl.program_id(2).to(tl.int64) * tokens + at
    tl.store(shares + line, peak, at < tokens)
    tl.store(shares + tl.num_programs(2).to(tl.int64) * tokens + line, total, at < tokens)
    tl.store(
        sums + line[:, None] * WIDTH + channel[None, :],
        carried,
        (at < tokens)[:, None] & (channel < WIDTH)[None, :],
    )


@triton.jit(do_not_specialize=["rows", "splits"])  # type: ignore[untyped-decorator]
def _merge(
    parts,
    shares,
    out,
    rows,
    splits,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    """Each program adds up some channels of some queries over all parts of the keys."""
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    known = row < rows
    mask = known[:, None] & (channel < WIDTH)[None, :]
    last = tl.cast(rows, tl.int64) * splits
    peak = tl.full((ROWS,), -1e8, tl.float32)
    for part in range(0, splits):
        peak = tl.maximum(peak, tl.load(shares + part * rows + row, known, -1e8))
    total = tl.full((ROWS,), 0.0, tl.float32)
    carried = tl.full((ROWS, CHANNELS), 0.0, tl.float32)
    for part in range(0, splits):
        line = tl.cast(part, tl.int64) * rows + row
        share = tl.exp(tl.load(shares + line, known, -1e8) - peak)
        total += share * tl.load(shares + last + line, known, 1.0)
        sums = tl.load(parts + line[:, None] * WIDTH + channel[None, :], mask, 0.0)
        carried += share[:, None] * sums
    tl.store(
        out + row[:, None] * WIDTH + channel[None, :],
        (carried / total[:, None]).to(out.dtype.element_ty),
        mask,
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
