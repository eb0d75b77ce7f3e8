"""Inputs on which a kernel and its plain function have to agree."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

import hqsam.kernels
import vmos.kernels
from hqsam import build_hqsam
from hqsam.encoder import FusedAttention, ViTEncoder
from hqtrack.build import CONFIGS
from hqtrack.preprocess import network_size
from hqtrack.segmenter import SegmenterConfig
from vmos import InternImageConfig, VMOSConfig
from vmos.dcnv3 import POINTS

FUSED: dict[str, Callable[..., Tensor]] = {**vmos.kernels.FUSED, **hqsam.kernels.FUSED}
PLAIN: dict[str, Callable[..., Tensor]] = {**vmos.kernels.PLAIN, **hqsam.kernels.PLAIN}

Shape = tuple[int, ...]


class Case(NamedTuple):
    """The input of a kernel.

    Attributes:
        name: what the kernel does there.
        kernel: its name in `FUSED` and `PLAIN`.
        shapes: of its tensors.
        further: its other arguments.
    """

    name: str
    kernel: str
    shapes: tuple[Shape, ...]
    further: tuple[Any, ...] = ()

    def inputs(self, dtype: torch.dtype, device: torch.device, seed: int) -> tuple[Any, ...]:
        """Random tensors, the same for the same seed, and the further arguments."""
        chance = torch.Generator(device).manual_seed(seed)
        drawn = [torch.randn(shape, generator=chance, device=device) for shape in self.shapes]
        if self.kernel == "deformable_sample":
            value, offset, weight = drawn
            drawn = [value, 3 * offset, weight.softmax(-1)]
        elif self.kernel == "position_attention":
            drawn = [0.5 * part for part in drawn]
        else:
            # sharp weights: the mean of many keys would hide what a kernel does with one of them
            drawn[1] *= 3
        return (*(part.to(dtype) for part in drawn), *self.further)


def small_cases() -> list[Case]:
    """Sizes that fill no block, with windows and tiles that leave the frame."""
    return [
        Case("5x7", "deformable_sample", _sampling((5, 7), 2, 4)),
        Case("130 queries, 70 keys", "global_attention", ((2, 130, 4), (2, 70, 4), (2, 70, 24))),
        Case("5 queries, 1 key", "global_attention", ((1, 5, 16), (1, 1, 16), (1, 1, 8))),
        Case("5x20", "local_attention", _local(100, 8, 20, 3), ((5, 20), 3)),
        Case("17x9", "local_attention", _local(153, 8, 20, 7), ((17, 9), 7)),
        Case("9x10 in windows of 5", "position_attention", _position((9, 10), 5, 2, 8)),
        Case("4x4", "position_attention", _position((4, 4), 4, 2, 16)),
    ]


def tracker_cases(
    preset: str, size: tuple[int, int], memory: int | None = None
) -> dict[str, list[Case]]:
    """What the VMOS of a preset asks of each kernel, for frames of this size (height, width).

    `memory`: frames in long-term memory, by default as many as the preset keeps.
    """
    config, segmenter = CONFIGS[preset]
    return vmos_cases(preset, config, segmenter, size, memory or segmenter.long_term_size)


def vmos_cases(
    name: str, config: VMOSConfig, segmenter: SegmenterConfig, size: tuple[int, int], memory: int
) -> dict[str, list[Case]]:
    """`tracker_cases` of any VMOS."""
    side = network_size(
        *size, segmenter.min_short_edge, segmenter.max_long_edge, config.coarse_stride
    )
    found: dict[str, list[Case]] = {kernel: [] for kernel in vmos.kernels.FUSED}
    radius = config.window_radius
    for stride, width in (
        (config.coarse_stride, config.widths[2]),
        (config.fine_stride, config.widths[1]),
    ):
        grid = _grid(side, stride)
        tokens, depth, values = grid[0] * grid[1], width // 2, 4 * width
        for what, keys in (("long-term", memory * tokens), ("self", tokens)):
            shapes = ((1, tokens, depth), (1, keys, depth), (1, keys, values))
            case = Case(f"{name}: {what} attention, stride {stride}", "global_attention", shapes)
            found[case.kernel].append(case)
        local = _local(tokens, depth, values, radius)
        case = Case(f"{name}: windows, stride {stride}", "local_attention", local, (grid, radius))
        found[case.kernel].append(case)
    if isinstance(config.encoder, InternImageConfig):
        encoder = config.encoder
        for level, (width, groups) in enumerate(zip(encoder.widths, encoder.groups, strict=True)):
            grid = _grid(side, encoder.stride * 2 ** min(level, 2))
            case = Case(
                f"{name}: sampling, level {level + 1}",
                "deformable_sample",
                _sampling(grid, groups, width // groups),
            )
            found[case.kernel].append(case)
    return {kernel: cases for kernel, cases in found.items() if cases}


def refiner_cases(variant: str) -> dict[str, list[Case]]:
    """What the image encoder of a released HQ-SAM asks of its kernel."""
    with torch.device("meta"):
        encoder = build_hqsam(variant).image_encoder
    if not isinstance(encoder, ViTEncoder):
        return {}
    side = encoder.pos_embed.shape[1]
    cases = {}
    for block in encoder.blocks:
        attention: FusedAttention = block.attn
        window = (len(attention.rel_pos_h) + 1) // 2
        heads, depth = attention.num_heads, attention.rel_pos_h.shape[1]
        what = "the map" if window == side else f"windows of {window}"
        shapes = _position((side, side), window, heads, depth)
        cases[window] = Case(f"{variant}: {what}", "position_attention", shapes)
    return {"position_attention": list(cases.values())}


def _grid(side: tuple[int, int], stride: int) -> tuple[int, int]:
    return (side[0] - 1) // stride + 1, (side[1] - 1) // stride + 1


def _sampling(grid: tuple[int, int], groups: int, channels: int) -> tuple[Shape, ...]:
    points = (1, *grid, groups, POINTS)
    return (1, *grid, groups * channels), (*points, 2), points


def _local(tokens: int, depth: int, values: int, radius: int) -> tuple[Shape, ...]:
    matched = (1, tokens, depth)
    return matched, matched, (1, tokens, values), (1, tokens, (2 * radius + 1) ** 2)


def _position(grid: tuple[int, int], window: int, heads: int, depth: int) -> tuple[Shape, ...]:
    table = (2 * window - 1, depth)
    return (1, *grid, 3, heads, depth), table, table, (3, heads, depth)
