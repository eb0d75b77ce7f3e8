"""A small VMOS with random weights: the whole network in milliseconds."""

from dataclasses import replace

import torch

from vmos import VMOS, InternImageConfig, VMOSConfig, build_vmos

TINY = VMOSConfig(
    objects=3,
    encoder=InternImageConfig(stride=2, widths=(8, 16, 16), depths=(1, 1, 1), groups=(1, 2, 2)),
    widths=(8, 8, 16),
    coarse_layers=2,
    window_radius=3,
    norm_groups=4,
)


def tiny_vmos(objects: int = 3, seed: int = 0) -> VMOS:
    """The same weights for the same seed; the head is loud, so that several labels win."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_vmos(replace(TINY, objects=objects))
        torch.nn.init.normal_(model.head.classify.weight)
        torch.nn.init.zeros_(model.head.classify.bias)
    return model
