"""TinyViT, the image encoder of Light HQ-SAM: four stages, at strides 4, 8, 16 and 16."""

from collections import OrderedDict

import torch
from timm.models import tiny_vit
from torch import Tensor, nn

from hqsam.encoder import EncodedImage, make_neck

_WIDTHS = (64, 128, 160, 320)
_DEPTHS = (2, 2, 6, 2)
_HEADS = (2, 4, 5, 10)
_WINDOWS = (7, 7, 14, 7)
_EARLY_STAGES = 2
_CLASSES = 1000


class WindowAttention(tiny_vit.Attention):
    """Attention within a window of `window` x `window` tokens, biased by distance.

    The bias is looked up from its parameters on every call, because a cached bias would be stale
    after loading weights.
    """

    attention_bias_idxs: Tensor

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__(dim, dim // heads, heads, attn_ratio=1, resolution=(window, window))
        self.register_buffer("attention_bias_idxs", _distance_index(window), persistent=False)

    def get_attention_biases(self, device: torch.device) -> Tensor:
        """Bias [heads,window²,window²] between all tokens of a window."""
        return self.attention_biases[:, self.attention_bias_idxs]


def _distance_index(window: int) -> Tensor:
    """Entry of the bias table for each pair of tokens: |dy| * window + |dx|, [window²,window²]."""
    token = torch.arange(window**2, device="cpu")
    y, x = token // window, token % window
    return (y[:, None] - y).abs() * window + (x[:, None] - x).abs()


class WindowBlock(tiny_vit.TinyVitBlock):
    """Window attention, a depthwise convolution and an MLP, each added to its input."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__(dim, heads, window_size=window)
        self.attn = WindowAttention(dim, heads, window)

    def forward(self, x: Tensor) -> Tensor:
        """[1,C,H,W] -> [1,C,H,W]."""
        y: Tensor = super().forward(x.permute(0, 2, 3, 1))  # type: ignore[no-untyped-call]
        return y.permute(0, 3, 1, 2)


class TinyViTEncoder(nn.Module):
    """TinyViT-5M for images of 1024 x 1024; [1,3,1024,1024] -> `EncodedImage`, early width 160."""

    def __init__(self) -> None:
        super().__init__()
        width = _WIDTHS[0]
        stem = nn.Sequential(
            tiny_vit.ConvNorm(3, width // 2, 3, 2, 1),
            nn.GELU(),
            tiny_vit.ConvNorm(width // 2, width, 3, 2, 1),
        )
        self.patch_embed = nn.Sequential(OrderedDict(seq=stem))
        self.layers = nn.ModuleList(_make_stage(stage) for stage in range(len(_WIDTHS)))
        # the classifier of the pre-training, which never runs, but is part of the released file
        self.norm_head = nn.LayerNorm(_WIDTHS[-1])
        self.head = nn.Linear(_WIDTHS[-1], _CLASSES)
        self.neck = make_neck(_WIDTHS[-1])
        _rename_convolutions(self)

    def forward(self, x: Tensor) -> EncodedImage:
        """Encode a normalised image [1,3,1024,1024]."""
        x = self.patch_embed(x)
        for stage in self.layers[:_EARLY_STAGES]:
            x = stage(x)
        early = x.permute(0, 2, 3, 1)
        for stage in self.layers[_EARLY_STAGES:]:
            x = stage(x)
        return EncodedImage(self.neck(x), early)


def _make_stage(stage: int) -> nn.Sequential:
    """The blocks of a stage, then the change to the width and stride of the next stage."""
    width = _WIDTHS[stage]
    blocks: list[nn.Module] = [
        tiny_vit.MBConv(width, width, 4.0, nn.GELU, 0.0)
        if stage == 0
        else WindowBlock(width, _HEADS[stage], _WINDOWS[stage])
        for _ in range(_DEPTHS[stage])
    ]
    parts: OrderedDict[str, nn.Module] = OrderedDict(blocks=nn.Sequential(*blocks))
    if stage + 1 < len(_WIDTHS):
        wider = _WIDTHS[stage + 1]
        merging = tiny_vit.PatchMerging(width, wider, nn.GELU)
        if stage + 2 == len(_WIDTHS):
            # unlike the classifier, Light HQ-SAM ends at stride 16
            merging.conv2 = tiny_vit.ConvNorm(wider, wider, 3, 1, 1, groups=wider)
        parts["downsample"] = merging
    return nn.Sequential(parts)


def _rename_convolutions(module: nn.Module) -> None:
    """Give the convolutions of timm's blocks the names of the released weights."""
    for child in module.modules():
        if isinstance(child, tiny_vit.ConvNorm):
            convolution, norm = child.conv, child.bn
            del child.conv, child.bn
            child.add_module("c", convolution)
            child.add_module("bn", norm)
