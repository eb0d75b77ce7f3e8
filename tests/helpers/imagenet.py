"""A stand-in for the ImageNet checkpoint of InternImage-T: official names and shapes, a seed."""

import torch

WIDTHS, DEPTHS, GROUPS = (64, 128, 256, 512), (4, 4, 18, 4), (4, 8, 16, 32)


def shapes():
    """Shape by name, as the official classifier with 1000 classes stores them."""
    found = {
        "patch_embed.conv1": (32, 3, 3, 3),
        "patch_embed.norm1.1": (32,),
        "patch_embed.conv2": (64, 32, 3, 3),
        "patch_embed.norm2.1": (64,),
    }
    for level, (width, depth, groups) in enumerate(zip(WIDTHS, DEPTHS, GROUPS, strict=True)):
        for block in range(depth):
            layers = {
                "norm1.0": (width,),
                "dcn.dw_conv.0": (width, 1, 3, 3),
                "dcn.dw_conv.1.1": (width,),
                "dcn.offset": (18 * groups, width),
                "dcn.mask": (9 * groups, width),
                "dcn.input_proj": (width, width),
                "dcn.output_proj": (width, width),
                "norm2.0": (width,),
                "mlp.fc1": (4 * width, width),
                "mlp.fc2": (width, 4 * width),
            }
            found |= {f"levels.{level}.blocks.{block}.{name}": s for name, s in layers.items()}
        found[f"levels.{level}.norm.0"] = (width,)
        if level < 3:
            found[f"levels.{level}.downsample.norm.1"] = (2 * width,)
    return found | {"conv_head.0": (768, 512, 1, 1), "conv_head.1.0": (768,), "head": (1000, 768)}


def stand_in(seed):
    """The tensors, unit normal."""
    generator = torch.Generator().manual_seed(seed)
    sizes = {}
    for name, shape in shapes().items():
        sizes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for level, (width, depth) in enumerate(zip(WIDTHS, DEPTHS, strict=True)):
        if level < 3:
            sizes[f"levels.{level}.downsample.conv.weight"] = (2 * width, width, 3, 3)
        for block in range(depth):
            sizes |= {f"levels.{level}.blocks.{block}.gamma{n}": (width,) for n in (1, 2)}
    return {name: torch.randn(shape, generator=generator) for name, shape in sizes.items()}
