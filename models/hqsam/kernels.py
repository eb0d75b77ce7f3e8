"""Triton kernels of SAM's attention with decomposed relative positions.

They are for inference on CUDA and have no gradients; `install` puts them into a model.
`hqsam.encoder.position_attention` is the reference. Under TRITON_INTERPRET=1 they accept tensors on
the CPU, too.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import triton  # type: ignore[import-untyped]
import triton.language as tl  # type: ignore[import-untyped]
from torch import Tensor

from hqsam import encoder
from hqsam.encoder import FusedAttention
from hqsam.sam import HQSam

_KEYS = 64
"""Keys that a program matches at a time: a row of a map, several rows of a window."""

_SIDE = 16
"""The smallest matrices that tensor cores multiply."""

_LARGE = 1024
"""From this number of tokens on, a program handles more queries."""


class Launch(NamedTuple):
    """How many queries a program handles, and its warps and stages, see Triton."""

    queries: int
    warps: int
    stages: int = 2


WINDOW, MAP, EXACT = Launch(64, 4), Launch(128, 8), Launch(32, 4)
"""For windows, for whole maps, and for float32."""


def install(model: HQSam, functions: Mapping[str, Callable[..., Tensor]]) -> None:
    """Make the image encoder use these functions, which have names of `FUSED` or `PLAIN`.

    This has no effect on TinyViT, which has another attention.
    """
    for function in functions.values():
        for module in model.image_encoder.modules():
            if isinstance(module, FusedAttention):
                module.attend = function


def fuse(model: HQSam) -> None:
    """Make the image encoder use the kernels."""
    install(model, FUSED)


def position_attention(
    qkv: Tensor, rows: Tensor, columns: Tensor, beyond: Tensor, launch: Launch | None = None
) -> Tensor:
    """Like `hqsam.encoder.position_attention`, but stores neither scores nor copies of windows.

    It only stores the products of each query with the offsets that it needs, padded to a multiple
    of 16: [B,H,W,heads,2,P].
    """
    if torch.is_grad_enabled() and any(part.requires_grad for part in (qkv, rows, columns)):
        raise RuntimeError("the kernel has no gradients: train a model that was not fused")
    batch, height, width, _, heads, depth = qkv.shape
    window = (len(rows) + 1) // 2, (len(columns) + 1) // 2
    tokens = window[0] * window[1]
    if launch is None:
        launch = (MAP if tokens >= _LARGE else WINDOW) if qkv.element_size() == 2 else EXACT
    sizes = _sizes(heads, depth, (height, width), window)
    lean = qkv.new_empty(batch, height, width, heads, 2, sizes["PADDED"])
    out = qkv.new_empty(batch, height, width, heads, depth)
    qkv = qkv.contiguous()
    windows = triton.cdiv(height, window[0]) * triton.cdiv(width, window[1])
    with torch.cuda.device_of(qkv):
        _lean[(height + width, heads, batch)](
            qkv, rows.contiguous(), columns.contiguous(), lean, **sizes, **_leaning(height, width)
        )
        _attend[(triton.cdiv(tokens, launch.queries), windows, batch * heads)](
            qkv,
            beyond.to(qkv.dtype).contiguous(),
            lean,
            out,
            depth**-0.5,
            **sizes,
            **_attending(sizes["PADDED"], launch),
        )
    return out


FUSED: dict[str, Callable[..., Tensor]] = {"position_attention": position_attention}
"""The kernels by name."""

PLAIN: dict[str, Callable[..., Tensor]] = {"position_attention": encoder.position_attention}
"""The plain functions that they replace."""


def _sizes(
    heads: int, depth: int, size: tuple[int, int], window: tuple[int, int]
) -> dict[str, int]:
    """The compile-time sizes of both kernels."""
    return {
        "HEADS": heads,
        "DEPTH": depth,
        "MAP_HEIGHT": size[0],
        "MAP_WIDTH": size[1],
        "HEIGHT": window[0],
        "WIDTH": window[1],
        "PADDED": max(_SIDE, triton.next_power_of_2(max(window))),
        "DEPTH_PADDED": max(_SIDE, triton.next_power_of_2(depth)),
    }


def _leaning(height: int, width: int) -> dict[str, Any]:
    """The further compile-time sizes of `_lean` on a map."""
    line = max(_SIDE, triton.next_power_of_2(max(height, width)))
    return {"LINE": line, "num_warps": 4, "enable_fp_fusion": True}


def _attending(padded: int, launch: Launch) -> dict[str, Any]:
    """The further compile-time sizes of `_attend`."""
    return {
        "QUERIES": launch.queries,
        "KEYS": max(_KEYS, padded),
        "num_warps": launch.warps,
        "num_stages": launch.stages,
        "enable_fp_fusion": True,
    }


@triton.jit  # type: ignore[untyped-decorator]
def _lean(
    qkv,
    rows,
    columns,
    lean,
    HEADS: tl.constexpr,
    DEPTH: tl.constexpr,
    MAP_HEIGHT: tl.constexpr,
    MAP_WIDTH: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    PADDED: tl.constexpr,
    DEPTH_PADDED: tl.constexpr,
    LINE: tl.constexpr,
):
    """Each program handles one head of a row of a map, or of a column.

    All queries of a row have the same offsets from the rows of their window, so their products
    with these are one product of matrices.
    """
    line, head = tl.program_id(0), tl.program_id(1)
    upright = line >= MAP_HEIGHT
    place = tl.where(upright, line - MAP_HEIGHT, line)
    step = tl.arange(0, LINE)
    row, column = tl.where(upright, step, place), tl.where(upright, place, step)
    known = (row < MAP_HEIGHT) & (column < MAP_WIDTH)
    token = (tl.program_id(2).to(tl.int64) * MAP_HEIGHT + row) * MAP_WIDTH + column
    deep = tl.arange(0, DEPTH_PADDED)
    asked = tl.load(
        qkv + (token * 3 * HEADS + head)[:, None] * DEPTH + deep[None, :],
        known[:, None] & (deep < DEPTH)[None, :],
        0.0,
    )
    key = tl.arange(0, PADDED)
    by_row = (place % HEIGHT - key + HEIGHT - 1)[:, None] * DEPTH + deep[None, :]
    by_column = (place % WIDTH - key + WIDTH - 1)[:, None] * DEPTH + deep[None, :]
    in_row = (key < tl.where(upright, 0, HEIGHT))[:, None] & (deep < DEPTH)[None, :]
    in_column = (key < tl.where(upright, WIDTH, 0))[:, None] & (deep < DEPTH)[None, :]
    offsets = tl.load(rows + by_row, in_row, 0.0) + tl.load(columns + by_column, in_column, 0.0)
    products = tl.dot(asked, tl.trans(offsets.to(asked.dtype)), input_precision="ieee")
    half = (token * HEADS + head) * 2 + tl.where(upright, 1, 0)
    target = lean + half[:, None] * PADDED + key[None, :]
    tl.store(target, products.to(lean.dtype.element_ty), known[:, None] & (key < PADDED)[None, :])


@triton.jit  # type: ignore[untyped-decorator]
def _attend(
    qkv,
    beyond,
    lean,
    out,
    scale,
    HEADS: tl.constexpr,
    DEPTH: tl.constexpr,
    MAP_HEIGHT: tl.constexpr,
    MAP_WIDTH: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    PADDED: tl.constexpr,
    DEPTH_PADDED: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
):
    """Each program handles some queries of one head of one window.

    Windows may reach beyond the map. A matrix of zeros and ones picks the products of a query with
    the offsets of each key; where a step has a single row of keys, all share the product with it.
    """
    ROWS: tl.constexpr = KEYS // PADDED
    ACROSS: tl.constexpr = (MAP_WIDTH + WIDTH - 1) // WIDTH
    CUT: tl.constexpr = MAP_HEIGHT % HEIGHT + MAP_WIDTH % WIDTH > 0
    head = tl.program_id(2) % HEADS
    image = (tl.program_id(2) // HEADS).to(tl.int64) * MAP_HEIGHT
    top = tl.program_id(1) // ACROSS * HEIGHT
    left = tl.program_id(1) % ACROSS * WIDTH
    at = tl.program_id(0) * QUERIES + tl.arange(0, QUERIES)
    row, column = top + at // WIDTH, left + at % WIDTH
    known = (at < HEIGHT * WIDTH) & (row < MAP_HEIGHT) & (column < MAP_WIDTH)
    token = (image + row) * MAP_WIDTH + column
    deep = tl.arange(0, DEPTH_PADDED)
    asked = tl.load(
        qkv + (token * 3 * HEADS + head)[:, None] * DEPTH + deep[None, :],
        known[:, None] & (deep < DEPTH)[None, :],
        0.0,
    )
    products = lean + (token * HEADS + head) * 2 * PADDED
    step = tl.arange(0, KEYS)
    key_column = step % PADDED
    if ROWS == 1:
        lean_column = tl.load(
            products[:, None] + PADDED + key_column[None, :], known[:, None], 0.0
        ).to(tl.float32)
    else:
        slot = tl.arange(0, 2 * PADDED)
        both = tl.load(products[:, None] + slot[None, :], known[:, None], 0.0)
    if CUT:
        other = beyond + head * DEPTH + deep
        key_beyond = tl.load(other + HEADS * DEPTH, deep < DEPTH, 0.0)
        value_beyond = tl.load(other + 2 * HEADS * DEPTH, deep < DEPTH, 0.0)
    carried = tl.full((QUERIES, DEPTH_PADDED), 0.0, tl.float32)
    total = tl.full((QUERIES,), 0.0, tl.float32)
    peak = tl.full((QUERIES,), -1e8, tl.float32)
    for start in range(0, HEIGHT, ROWS):
        key_row = start + step // PADDED
        seen = (key_row < HEIGHT) & (key_column < WIDTH)
        inside = seen & (top + key_row < MAP_HEIGHT) & (left + key_column < MAP_WIDTH)
        key_token = (image + top + key_row) * MAP_WIDTH + left + key_column
        lines = qkv + (key_token * 3 * HEADS + head)[:, None] * DEPTH + deep[None, :]
        mask = inside[:, None] & (deep < DEPTH)[None, :]
        keys = tl.load(lines + HEADS * DEPTH, mask, 0.0)
        values = tl.load(lines + 2 * HEADS * DEPTH, mask, 0.0)
        if CUT:
            keys = tl.where(inside[:, None], keys, key_beyond[None, :])
            values = tl.where(inside[:, None], values, value_beyond[None, :])
        scores = tl.dot(asked, tl.trans(keys), input_precision="ieee") * scale
        if ROWS == 1:
            scores = scores + tl.load(products + start, known, 0.0).to(tl.float32)[:, None]
            scores = scores + lean_column
        else:
            row_slot = slot[:, None] == key_row[None, :]
            picked = row_slot | (slot[:, None] == (PADDED + key_column)[None, :])
            scores = tl.dot(both, picked.to(both.dtype), scores, input_precision="ieee")
        scores = tl.where(seen[None, :], scores, -1e8)
        higher = tl.maximum(peak, tl.max(scores, 1))
        shrink = tl.exp(peak - higher)
        weights = tl.exp(scores - higher[:, None])
        total = total * shrink + tl.sum(weights, 1)
        carried = tl.dot(
            weights.to(values.dtype), values, carried * shrink[:, None], input_precision="ieee"
        )
        peak = higher
    tl.store(
        out + (token * HEADS + head)[:, None] * DEPTH + deep[None, :],
        (carried / total[:, None]).to(out.dtype.element_ty),
        known[:, None] & (deep < DEPTH)[None, :],
    )
