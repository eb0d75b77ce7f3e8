"""The image encoder of HQ-SAM: SAM's ViT, which also returns its early features."""

from functools import partial
from typing import NamedTuple

import torch
from segment_anything.modeling.common import LayerNorm2d  # type: ignore[import-untyped]
from segment_anything.modeling.image_encoder import (  # type: ignore[import-untyped]
    Attention,
    Block,
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


class TokenNorm(nn.LayerNorm):
    """A layer norm that leaves 16-bit tokens in 16 bits, under autocast, too.

    It adds up in float32.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each token [...,C]."""
        if x.dtype == torch.float32:
            return super().forward(x)
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        with torch.autocast(x.device.type, enabled=False):
            return F.layer_norm(x, self.normalized_shape, weight, bias, self.eps)


def position_attention(qkv: Tensor, rows: Tensor, columns: Tensor, beyond: Tensor) -> Tensor:
    """SAM's attention among the tokens of each h x w window, with decomposed relative positions.

    The position bias is the additive mask, for a few heads at a time, because the bias of all heads
    of a global block takes 805 MB in vit_b.

    qkv: [B,H,W,3,heads,d], queries, keys and values of maps, which the windows cover from the top
    left on. rows: [2h-1,d], columns: [2w-1,d], for the offsets of a query from a key, the most
    negative first. beyond: [3,heads,d], for the tokens of windows that reach beyond the map.
    Returns [B,H,W,heads,d].
    """
    batch, height, width, _, heads, _ = qkv.shape
    side = (len(rows) + 1) // 2, (len(columns) + 1) // 2
    if (height, width) != side:
        windows, padded = _cut(qkv, side, beyond)
        out = position_attention(windows, rows, columns, beyond)
        return _joined(out, padded)[:, :height, :width]
    tokens = height * width
    q, k, v = qkv.flatten(1, 2).permute(2, 0, 3, 1, 4).flatten(1, 2).unsqueeze(2).unbind(0)
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
    return out.view(batch, heads, tokens, -1).transpose(1, 2).unflatten(1, side)


class FusedAttention(Attention):  # type: ignore[misc]
    """SAM's self-attention with decomposed relative positions, through a fused kernel."""

    attend = staticmethod(position_attention)

    def forward(self, x: Tensor) -> Tensor:
        """Attend among the tokens of each window of maps [B,H,W,C]; returns the same shape.

        Tokens of windows that reach beyond a map are zero.
        """
        split = (3, self.num_heads, x.shape[-1] // self.num_heads)
        beyond = self.qkv.bias.view(split)
        qkv = self.qkv(x).unflatten(3, split)
        out = self.attend(qkv, self.rel_pos_h, self.rel_pos_w, beyond)
        projected: Tensor = self.proj(out.flatten(3))
        return projected


class FusedBlock(Block):  # type: ignore[misc]
    """SAM's transformer block; a kernel finds the windows in the map itself."""

    def __init__(self, block: Block, attention: FusedAttention) -> None:
        """The parts of a block, but for its attention."""
        nn.Module.__init__(self)
        self.norm1, self.attn = block.norm1, attention
        self.norm2, self.mlp = block.norm2, block.mlp
        self.window_size = block.window_size

    def forward(self, x: Tensor) -> Tensor:
        """[B,H,W,C] -> [B,H,W,C]."""
        if self.attn.attend is position_attention:
            whole: Tensor = super().forward(x)
            return whole
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def _cut(qkv: Tensor, side: tuple[int, int], beyond: Tensor) -> tuple[Tensor, tuple[int, int, int]]:
    """Windows [B*n*m,h,w,...] of maps [B,H,W,...], padded at the end, and B, n and m."""
    batch, height, width = qkv.shape[:3]
    down, across = -(-height // side[0]), -(-width // side[1])
    padded = beyond.to(qkv.dtype).expand(batch, down * side[0], across * side[1], -1, -1, -1)
    padded = padded.clone()
    padded[:, :height, :width] = qkv
    split = padded.unflatten(2, (across, side[1])).unflatten(1, (down, side[0]))
    return split.transpose(2, 3).flatten(0, 2), (batch, down, across)


def _joined(windows: Tensor, counts: tuple[int, int, int]) -> Tensor:
    """The inverse of `_cut`, still padded: [B*n*m,h,w,...] -> [B,n*h,m*w,...]."""
    return windows.unflatten(0, counts).transpose(2, 3).flatten(3, 4).flatten(1, 2)


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
        norm = partial(TokenNorm, eps=1e-6)
        super().__init__(
            img_size=IMAGE_SIZE,
            patch_size=STRIDE,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            out_chans=EMBED_DIM,
            norm_layer=norm,
            use_rel_pos=True,
            window_size=14,
            global_attn_indexes=global_blocks,
        )
        self.early_blocks = min(global_blocks) + 1
        for index, block in enumerate(self.blocks):
            side = block.window_size or IMAGE_SIZE // STRIDE
            attention = FusedAttention(width, heads, use_rel_pos=True, input_size=(side, side))
            self.blocks[index] = FusedBlock(block, attention)

    def forward(self, x: Tensor) -> EncodedImage:
        """Encode a normalised image [1,3,1024,1024].

        The tokens keep the type that the first convolution gives them.
        """
        x = self.patch_embed(x)
        x = x + self.pos_embed.to(x.dtype)
        for block in self.blocks[: self.early_blocks]:
            x = block(x)
        early = x
        for block in self.blocks[self.early_blocks :]:
            x = block(x)
        return EncodedImage(self.neck(x.permute(0, 3, 1, 2)), early)
