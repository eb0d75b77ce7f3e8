"""A Triton kernel of SAM's attention with decomposed relative positions.

It is for inference on CUDA and has no gradients; `fuse` installs it in a model.
`hqsam.encoder.position_attention` is the reference. Under TRITON_INTERPRET=1 it accepts tensors on
the CPU, too.
"""

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
"""From this number of tokens on, a program handles 128 queries instead of 64."""


def fuse(model: HQSam, fused: bool = True) -> None:
    """Install this kernel in the image encoder, or with `fused=False` the plain function.

    This has no effect on TinyViT, which has another attention.
    """
    for module in model.image_encoder.modules():
        if isinstance(module, FusedAttention):
            module.attend = position_attention if fused else encoder.position_attention


def position_attention(qkv: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Like `hqsam.encoder.position_attention`, but stores neither scores nor their bias.

    It only stores each query's product with the offsets, [B,N,heads,2H-1 + 2W-1].
    """
    if torch.is_grad_enabled() and any(part.requires_grad for part in (qkv, rows, columns)):
        raise RuntimeError("the kernel has no gradients: train a model that was not fused")
    batch, tokens, _, heads, depth = qkv.shape
    height, width = (len(rows) + 1) // 2, (len(columns) + 1) // 2
    products = (qkv[:, :, 0] @ torch.cat([rows, columns]).transpose(0, 1)).contiguous()
    out = torch.empty(batch, tokens, heads, depth, dtype=qkv.dtype, device=qkv.device)
    padded_width = max(_SIDE, triton.next_power_of_2(width))
    large = tokens >= _LARGE
    queries = (128 if large else 64) if qkv.element_size() == 2 else 32
    _attend[(triton.cdiv(tokens, queries), batch * heads)](
        qkv.contiguous(),
        products,
        out,
        depth**-0.5,
        HEADS=heads,
        DEPTH=depth,
        HEIGHT=height,
        WIDTH=width,
        QUERIES=queries,
        KEYS=max(_KEYS, padded_width),
        PADDED_WIDTH=padded_width,
        DEPTH_PADDED=max(_SIDE, triton.next_power_of_2(depth)),
        num_warps=8 if large else 4,
        num_stages=2,
        enable_fp_fusion=True,
    )
    return out


@triton.jit  # type: ignore[untyped-decorator]
def _attend(
    qkv,
    products,
    out,
    scale,
    HEADS: tl.constexpr,
    DEPTH: tl.constexpr,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
    PADDED_WIDTH: tl.constexpr,
    DEPTH_PADDED: tl.constexpr,
):
    """Each program handles some queries of one head of one map or window."""
    TOKENS: tl.constexpr = HEIGHT * WIDTH
    ROWS: tl.constexpr = KEYS // PADDED_WIDTH
    OFFSETS: tl.constexpr = 2 * HEIGHT - 1 + 2 * WIDTH - 1
    head = tl.program_id(1) % HEADS
    first = (tl.program_id(1) // HEADS).to(tl.int64) * TOKENS
    at = tl.program_id(0) * QUERIES + tl.arange(0, QUERIES)
    known = at < TOKENS
    row, column = at // WIDTH, at % WIDTH
    deep = tl.arange(0, DEPTH_PADDED)
    asked = tl.load(
        qkv + ((first + at) * 3 * HEADS + head)[:, None] * DEPTH + deep[None, :],
        known[:, None] & (deep < DEPTH)[None, :],
        0.0,
    )
    by_row = products + ((first + at) * HEADS + head) * OFFSETS + row + HEIGHT - 1
    by_column = by_row - row + HEIGHT - 1 + column + WIDTH
    step = tl.arange(0, KEYS)
    key_column = step % PADDED_WIDTH
    aligned = known[:, None] & (key_column < WIDTH)[None, :]
    lean_column = tl.load(by_column[:, None] - key_column[None, :], aligned, 0.0).to(tl.float32)
    carried = tl.full((QUERIES, DEPTH_PADDED), 0.0, tl.float32)
    total = tl.full((QUERIES,), 0.0, tl.float32)
    peak = tl.full((QUERIES,), -1e8, tl.float32)
    for start in range(0, HEIGHT, ROWS):
        key_row = start + step // PADDED_WIDTH
        seen = (key_row < HEIGHT) & (key_column < WIDTH)
        lines = ((first + key_row * WIDTH + key_column) * 3 * HEADS + head)[:, None] * DEPTH
        mask = seen[:, None] & (deep < DEPTH)[None, :]
        keys = tl.load(qkv + HEADS * DEPTH + lines + deep[None, :], mask, 0.0)
        values = tl.load(qkv + 2 * HEADS * DEPTH + lines + deep[None, :], mask, 0.0)
        if ROWS == 1:
            lean_row = tl.load(by_row - start, known, 0.0)[:, None]
        else:
            lean_row = tl.load(
                by_row[:, None] - key_row[None, :], known[:, None] & seen[None, :], 0.0
            )
        scores = tl.dot(asked, tl.trans(keys), input_precision="ieee") * scale
        scores = scores + lean_row.to(tl.float32) + lean_column
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
        out + ((first + at) * HEADS + head)[:, None] * DEPTH + deep[None, :],
        (carried / total[:, None]).to(out.dtype.element_ty),
        known[:, None] & (deep < DEPTH)[None, :],
    )
