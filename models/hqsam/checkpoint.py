"""Builds HQ-SAM from a variant's name and the weights of an official checkpoint."""

from collections.abc import Mapping

import torch
from torch import Tensor

from hqsam.decoder import HQMaskDecoder, HQPromptEncoder
from hqsam.encoder import ViTEncoder
from hqsam.light import LightEncoder, LightMaskDecoder, LightPromptEncoder
from hqsam.sam import HQSam
from hqsam.tiny_vit import TinyViTEncoder

# Width, depth, heads, and the blocks with global attention.
_VITS = {
    "vit_b": (768, 12, 12, (2, 5, 8, 11)),
    "vit_l": (1024, 24, 16, (5, 11, 17, 23)),
    "vit_h": (1280, 32, 16, (7, 15, 23, 31)),
}
_EARLY_DIMS = {"vit_tiny": 160} | {name: sizes[0] for name, sizes in _VITS.items()}
_LIGHT = "light"
_LIGHT_KEY = "mask_decoder.skip.0.weight"
_VARIANT_KEY = "mask_decoder.compress_vit_feat.0.weight"

RELEASED_VARIANTS = tuple(_EARLY_DIMS)
"""The names of the released networks, from small to large."""

VARIANTS = (*RELEASED_VARIANTS, _LIGHT)
"""The names of all networks; "light" is ours."""


def build_hqsam(variant: str, state_dict: Mapping[str, Tensor] | None = None) -> HQSam:
    """Build HQ-SAM in evaluation mode, on the CPU.

    variant: one of `VARIANTS`. state_dict: the tensors of a released `sam_hq_*.pth`, with or
    without the prefix `module.` in their keys; the model uses these tensors, without a copy if they
    are float32. Without it the weights are random. Raises ValueError for an unknown variant and for
    weights of another model; the message names keys that are missing, unknown or misshapen.
    """
    if variant not in VARIANTS:
        raise ValueError(
            f"there is no HQ-SAM variant {variant!r}: choose one of {', '.join(VARIANTS)}"
        )
    if state_dict is None:
        return _assemble(variant).eval()
    if not isinstance(state_dict, Mapping):
        raise ValueError(
            f"HQ-SAM needs a plain dict of tensors, not a {type(state_dict).__name__}: "
            "give the contents of sam_hq_*.pth"
        )
    with torch.device("meta"):
        model = _assemble(variant)
    weights = {str(key).removeprefix("module."): value for key, value in state_dict.items()}
    _check(variant, model.state_dict(), weights)
    weights = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
    model.load_state_dict(weights, assign=True)
    return model.eval()


def _assemble(variant: str) -> HQSam:
    if variant == _LIGHT:
        return HQSam(LightEncoder(), LightPromptEncoder(), LightMaskDecoder())
    encoder = TinyViTEncoder() if variant == "vit_tiny" else ViTEncoder(*_VITS[variant])
    return HQSam(encoder, HQPromptEncoder(), HQMaskDecoder(_EARLY_DIMS[variant]))


def _check(variant: str, expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless `weights` has exactly the keys and shapes of `expected`."""
    not_tensors = [key for key, value in weights.items() if not isinstance(value, Tensor)]
    if not_tensors:
        raise ValueError(
            f"HQ-SAM needs a plain dict of tensors, but {_some(not_tensors)} are not tensors: "
            "give the contents of sam_hq_*.pth"
        )
    problems = []
    if found := _variant_of(weights):
        if found != variant:
            raise ValueError(
                f"these are the weights of HQ-SAM {found}, not {variant}: "
                f"use build_hqsam({found!r}, ...) or load sam_hq_{variant}.pth"
            )
    elif "mask_decoder.iou_token.weight" in weights:
        problems.append("these look like the weights of plain SAM, without the HQ token")
    if missing := [key for key in expected if key not in weights]:
        problems.append(f"lack {_some(missing)}")
    if unknown := [key for key in weights if key not in expected]:
        problems.append(f"have unknown keys {_some(unknown)}")
    if misshapen := [
        f"{key} {list(weights[key].shape)} instead of {list(value.shape)}"
        for key, value in expected.items()
        if key in weights and weights[key].shape != value.shape
    ]:
        problems.append(f"have the wrong shape in {_some(misshapen)}")
    if problems:
        raise ValueError(
            f"the weights are not those of HQ-SAM {variant}: they {'; they '.join(problems)}. "
            f"Load sam_hq_{variant}.pth (`hqtrack weights download hqsam_{variant}`)"
        )


def _variant_of(weights: Mapping[str, Tensor]) -> str | None:
    """The variant of HQ-SAM weights, from the width of their image encoder."""
    if _LIGHT_KEY in weights:
        return _LIGHT
    if _VARIANT_KEY not in weights:
        return None
    dim = weights[_VARIANT_KEY].shape[0]
    return next((name for name, early_dim in _EARLY_DIMS.items() if early_dim == dim), None)


def _some(names: list[str]) -> str:
    """The first few names of a list, and the number of others."""
    rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + rest
