"""The image encoder of HQ-SAM: SAM's ViT, which also returns its early features."""

from functools import partial
from typing import NamedTuple

import torch
from segment_anything.modeling.common import LayerNorm2d  # type: ignore[import-untyped]
from segment_anything.modeling.image_encoder import (  # type: ignore[import-untyped]
    Attention,
    ImageEncoderViT,
)
from torch import Tensor, nn
from torch.nn import functional as F

from hqsam.sizes import RELEASED

IMAGE_SIZE = RELEASED.image
"""Side of the square network input, in pixels."""

STRIDE = RELEASED.stride
"""Input pixels per image token."""

EMBED_DIM = RELEASED.dim
"""Channels of the features, prompts and decoder."""

_MASK_ELEMENTS = 2**25
"""Most elements of the attention bias in memory at the same time (128 MiB in float32)."""


class ChannelNorm(LayerNorm2d):  # type: ignore[misc]
    """SAM's layer norm over the channels of [B,C,H,W], in one pass instead of six."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each pixel."""
        pixels = x.permute(0, 2, 3, 1)
        return F.layer_norm(pixels, pixels.shape[-1:], self.weight, self.bias, self.eps).permute(
            0, 3, 1, 2
        )


class EncodedImage(NamedTuple):
    """The output of the image encoder.

    features: [B,256,64,64], the input of SAM's decoder.
    early: [B,64,64,C], tokens after the first block with global attention (TinyViT: after the
        second stage), which still contain fine detail (HQ-SAM, Global-local Fusion).
    """

    features: Tensor
    early: Tensor


def make_neck(dim: int) -> nn.Sequential:
    """Two convolutions, each with a norm, from the width `dim` of the trunk to `EMBED_DIM`."""
    return nn.Sequential(
        nn.Conv2d(dim, EMBED_DIM, 1, bias=False),
        ChannelNorm(EMBED_DIM),
        nn.Conv2d(EMBED_DIM, EMBED_DIM, 3, padding=1, bias=False),
        ChannelNorm(EMBED_DIM),
    )


def position_attention(qkv: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """SAM's attention among the tokens of H x W maps, with decomposed relative positions.

    The position bias is the additive mask, for a few heads at a time, because the bias of all heads
    of a global block takes 805 MB in vit_b.

    qkv: [B,H*W,3,heads,d], queries, keys and values. rows: [2H-1,d], columns: [2W-1,d], for the
    offsets of a query from a key, the most negative first. Returns [B,H*W,heads,d].
    """
    batch, tokens, _, heads, _ = qkv.shape
    q, k, v = qkv.permute(2, 0, 3, 1, 4).flatten(1, 2).unsqueeze(2).unbind(0)
    by_row, by_column = _by_offset(rows), _by_offset(columns)
    step = max(1, _MASK_ELEMENTS // tokens**2)
    out = torch.cat(
        [
            F.scaled_dot_product_attention(
                part, k[i : i + step], v[i : i + step], _position_bias(part, by_row, by_column)
            )
            for i, part in zip(range(0, len(q), step), q.split(step), strict=True)
        ]
    )
    return out.view(batch, heads, tokens, -1).transpose(1, 2)


class FusedAttention(Attention):  # type: ignore[misc]
    """SAM's self-attention with decomposed relative positions, through a fused kernel."""

    attend = staticmethod(position_attention)

    def forward(self, x: Tensor) -> Tensor:
        """Attend among the tokens of each [B,H,W,C] map or window; returns the same shape."""
        qkv = self.qkv(x).flatten(1, 2).unflatten(2, (3, self.num_heads, -1))
        out = self.attend(qkv, self.rel_pos_h, self.rel_pos_w)
        projected: Tensor = self.proj(out.reshape(x.shape))
        return projected


def _by_offset(table: Tensor) -> Tensor:
    """Spread a table [2S-1,C] of offsets 1-S..S-1 to [S,S,C], indexed by query and key."""
    side = (len(table) + 1) // 2
    position = torch.arange(side, device=table.device)
    return table[position[:, None] - position + side - 1]


def _position_bias(q: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Bias [M,1,HW,HW] of queries [M,1,HW,C] from row [H,H,C] and column [W,W,C] offsets."""
    height, width = len(rows), len(columns)
    grid = q.view(len(q), height, width, -1)
    by_row = torch.einsum("mhwc,hkc->mhwk", grid, rows).contiguous()
    by_column = torch.einsum("mhwc,wkc->mhwk", grid, columns).contiguous()
    bias = by_row.unsqueeze(-1) + by_column.unsqueeze(-2)
    return bias.view(len(q), 1, height * width, height * width)


class ViTEncoder(ImageEncoderViT):  # type: ignore[misc]
    """SAM's ViT; [1,3,1024,1024] normalised image -> `EncodedImage`.

    width, depth, heads: of the transformer. global_blocks: indices of the blocks that attend over
    the entire image; the others attend within windows of 14 x 14 tokens.
    """

    def __init__(self, width: int, depth: int, heads: int, global_blocks: tuple[int, ...]) -> None:
        super().__init__(
            img_size=IMAGE_SIZE,
            patch_size=STRIDE,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            out_chans=EMBED_DIM,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=14,
            global_attn_indexes=global_blocks,
        )
        self.early_blocks = min(global_blocks) + 1
        for block in self.blocks:
            side = block.window_size or IMAGE_SIZE // STRIDE
            block.attn = FusedAttention(width, heads, use_rel_pos=True, input_size=(side, side))

    def forward(self, x: Tensor) -> EncodedImage:
        """Encode a normalised image [1,3,1024,1024]."""
        x = self.patch_embed(x) + self.pos_embed
        for block in self.blocks[: self.early_blocks]:
            x = block(x)
        early = x
        for block in self.blocks[self.early_blocks :]:
            x = block(x)
        return EncodedImage(self.neck(x.permute(0, 3, 1, 2)), early)
