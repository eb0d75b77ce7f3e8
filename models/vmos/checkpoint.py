"""Checkpoints: the official layout and key names, and strict loading."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vmos.config import VMOSConfig
from vmos.vmos import VMOS

# Our name -> the official name; all matching rules apply, in this order.
RENAMES = [
    (re.compile(pattern), name)
    for pattern, name in [
        (r"^encoder\.stem\.norm(\d)\.", r"encoder.patch_embed.norm\1.1."),
        (r"^encoder\.stem\.", "encoder.patch_embed."),
        (r"^(encoder\.levels\.\d+\.blocks\.\d+\.norm\d)\.", r"\1.0."),
        (r"^(encoder\.levels\.\d+\.norm)\.", r"\1.0."),
        (r"^(encoder\.levels\.\d+\.downsample\.norm)\.", r"\1.1."),
        (r"\.dcn\.depthwise\.", ".dcn.dw_conv.0."),
        (r"\.dcn\.norm\.", ".dcn.dw_conv.1.1."),
        (r"^encoder\.projector\.", "encoder_projector."),
        (r"^identity\.coarse\.", "patch_wise_id_bank."),
        (r"^identity\.fine\.", "patch_wise_id_bank_s8."),
        (r"^identity\.coarse_norm\.", "id_norm."),
        (r"^identity\.fine_norm\.", "id_norm_s8."),
        (r"^propagation\.output_norm\.", "LSTT.decoder_norms_s4.0.gn."),
        (r"^propagation\.coarse_layers\.", "LSTT.layers."),
        (r"^propagation\.fine_layer\.", "LSTT.layer_s8."),
        (r"\.self_attention\.query_key\.", ".self_attn.linear_QK."),
        (r"\.self_attention\.visual_value\.", ".self_attn.linear_V1."),
        (r"\.self_attention\.identity_value\.", ".self_attn.linear_V2."),
        (r"\.self_attention\.visual_gate\.", ".self_attn.linear_U1."),
        (r"\.self_attention\.identity_gate\.", ".self_attn.linear_U2."),
        (r"\.self_attention\.", ".self_attn."),
        (r"\.long_term\.", ".long_term_attn."),
        (r"\.short_term\.", ".short_term_attn."),
        (r"\.relative\.", ".relative_emb_k."),
        (r"\.depthwise\.", ".dw_conv.conv."),
        (r"\.query_value\.", ".linear_QV."),
        (r"\.gate\.", ".linear_U."),
        (r"\.identity_value\.", ".linear_ID_V."),
        (r"\.identity_gate\.", ".linear_ID_U."),
        (r"\.identity_norm(\d)\.", r".id_norm\1."),
        (r"^propagation\.to_fine\.", "LSTT.s8_"),
        (r"^propagation\.to_output\.", "LSTT.s4_"),
        (r"_skip\.", "_proj."),
        (r"_visual_(in|out)\.", r"_cons_\1."),
        (r"_identity_(in|out)\.", r"_cons_\1_id."),
        (r"(_in|_in_id)\.norm\.", r"\1.gn."),
        (r"(_out|_out_id)\.0\.", r"\1.res1."),
        (r"(_out|_out_id)\.1\.", r"\1.res2."),
        (r"\.first\.conv\.", ".conv1."),
        (r"\.first\.norm\.", ".gn1."),
        (r"\.second\.conv\.", ".conv2."),
        (r"\.second\.norm\.", ".gn2."),
        (r"^head\.mix\.conv\.", "conv_output1.conv."),
        (r"^head\.mix\.norm\.", "conv_output1.gn."),
        (r"^head\.classify\.", "conv_output2."),
    ]
]


class CheckpointError(ValueError):
    """A checkpoint does not contain the weights of this VMOS."""


def official_name(key: str) -> str:
    """The name of this weight in the official code."""
    for pattern, name in RENAMES:
        key = pattern.sub(name, key)
    return key


def build_vmos(
    config: VMOSConfig | None = None, state_dict: Mapping[str, Any] | None = None
) -> VMOS:
    """Make a VMOS in evaluation mode.

    Args:
        config: its sizes; by default those of the released model.
        state_dict: its weights, which are copied; without it the weights are random. Names are
            official or ours, at the top level or under "state_dict" or "model", with or without
            the prefix "module.". Other entries are ignored, such as the weights that the released
            model never reads.

    Raises:
        CheckpointError: weights are missing or have another shape, and the message names them; or
            this is not a state dict.
    """
    if state_dict is None:
        return VMOS(config or VMOSConfig()).eval()
    stored = _stored_tensors(state_dict)
    with torch.device("meta"):
        model = VMOS(config or VMOSConfig())
    expected = model.state_dict()
    weights = {
        key: stored[name]
        for key in expected
        for name in (key, official_name(key))
        if name in stored
    }
    missing = [_both_names(key) for key in expected if key not in weights]
    misshapen = [
        f"{_both_names(key)} is {tuple(weight.shape)} instead of {tuple(expected[key].shape)}"
        for key, weight in weights.items()
        if weight.shape != expected[key].shape
    ]
    if missing or misshapen:
        raise CheckpointError(_complaint(missing, misshapen, len(expected)))
    own = {key: weight.to(torch.float32, copy=True) for key, weight in weights.items()}
    model.load_state_dict(own, assign=True)
    return model.requires_grad_(True).eval()


def _stored_tensors(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, without nesting and prefix."""
    if not isinstance(checkpoint, Mapping):
        raise CheckpointError(
            f"a checkpoint of VMOS is a dictionary of tensors, not a {type(checkpoint).__name__}: "
            "give what torch.load returns for it"
        )
    for nest in ("state_dict", "model"):
        if isinstance(checkpoint.get(nest), Mapping):
            checkpoint = checkpoint[nest]
            break
    return {
        key.removeprefix("module."): value
        for key, value in checkpoint.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }


def _both_names(key: str) -> str:
    official = official_name(key)
    return key if official == key else f"{key} (officially {official})"


def _complaint(missing: list[str], misshapen: list[str], total: int) -> str:
    lines = ["this is not a checkpoint of this VMOS configuration:"]
    if missing:
        lines.append(f"{len(missing)} of {total} weights are missing: {_some(missing)}.")
    if misshapen:
        lines.append(f"{len(misshapen)} have another shape: {_some(misshapen)}.")
    lines.append("Use the checkpoint that was made with this configuration.")
    return " ".join(lines)


def _some(names: list[str], most: int = 8) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
