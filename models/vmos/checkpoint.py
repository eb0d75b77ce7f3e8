"""Checkpoints: the official layout and key names, and strict loading."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vmos.config import VMOSConfig
from vmos.vmos import VMOS

# Stored in official checkpoints, never read at inference.
DEAD = re.compile(
    r"decoder\.|LSTT\.decoder_norms\.|encoder\.levels\.2\.downsample\.|pos_emb_generator"
)

# Official name -> ours; all that match apply, in this order.
RENAMES = [
    (re.compile(pattern), name)
    for pattern, name in [
        (r"^encoder\.patch_embed\.conv", "encoder.stem.conv"),
        (r"^encoder\.patch_embed\.norm(\d)\.1\.", r"encoder.stem.norm\1."),
        (r"^(encoder\.levels\.\d+\.blocks\.\d+\.norm\d)\.0\.", r"\1."),
        (r"^(encoder\.levels\.\d+\.norm)\.0\.", r"\1."),
        (r"^(encoder\.levels\.\d+\.downsample\.norm)\.1\.", r"\1."),
        (r"\.dcn\.dw_conv\.0\.", ".dcn.depthwise."),
        (r"\.dcn\.dw_conv\.1\.1\.", ".dcn.norm."),
        (r"^encoder_projector\.", "encoder.projector."),
        (r"^patch_wise_id_bank\.", "identity.coarse."),
        (r"^patch_wise_id_bank_s8\.", "identity.fine."),
        (r"^id_norm\.", "identity.coarse_norm."),
        (r"^id_norm_s8\.", "identity.fine_norm."),
        (r"^LSTT\.decoder_norms_s4\.0\.gn\.", "propagation.output_norm."),
        (r"^LSTT\.layers\.", "propagation.coarse_layers."),
        (r"^LSTT\.layer_s8\.", "propagation.fine_layer."),
        (r"\.linear_QV\.", ".query_value."),
        (r"\.linear_U\.", ".gate."),
        (r"\.linear_ID_V\.", ".identity_value."),
        (r"\.linear_ID_U\.", ".identity_gate."),
        (r"\.id_norm(\d)\.", r".identity_norm\1."),
        (r"\.long_term_attn\.", ".long_term."),
        (r"\.short_term_attn\.", ".short_term."),
        (r"\.self_attn\.", ".self_attention."),
        (r"\.relative_emb_k\.", ".relative."),
        (r"\.dw_conv\.conv\.", ".depthwise."),
        (r"\.linear_QK\.", ".query_key."),
        (r"\.linear_V1\.", ".visual_value."),
        (r"\.linear_V2\.", ".identity_value."),
        (r"\.linear_U1\.", ".visual_gate."),
        (r"\.linear_U2\.", ".identity_gate."),
        (r"^LSTT\.s8_", "propagation.to_fine."),
        (r"^LSTT\.s4_", "propagation.to_output."),
        (r"\.cons_(in|out)\.", r".visual_\1."),
        (r"\.cons_(in|out)_id\.", r".identity_\1."),
        (r"(to_\w+)\.proj\.", r"\1.skip."),
        (r"\.res1\.", ".0."),
        (r"\.res2\.", ".1."),
        (r"_out\.(\d)\.conv1\.", r"_out.\1.first.conv."),
        (r"_out\.(\d)\.conv2\.", r"_out.\1.second.conv."),
        (r"_out\.(\d)\.gn1\.", r"_out.\1.first.norm."),
        (r"_out\.(\d)\.gn2\.", r"_out.\1.second.norm."),
        (r"_in\.gn\.", "_in.norm."),
        (r"^conv_output1\.conv\.", "head.mix.conv."),
        (r"^conv_output1\.gn\.", "head.mix.norm."),
        (r"^conv_output2\.", "head.classify."),
    ]
]


class CheckpointError(ValueError):
    """A checkpoint that does not hold the weights of this VMOS."""


def rename(key: str) -> str:
    """Official key name -> ours; our own names stay as they are."""
    for pattern, name in RENAMES:
        key = pattern.sub(name, key)
    return key


def live_weights(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights in a checkpoint that inference reads, under our names.

    Args:
        checkpoint: a state dict, bare or under "state_dict" or "model", with or without the
            prefix "module."; key names official or ours.
    """
    for nest in ("state_dict", "model"):
        if isinstance(checkpoint.get(nest), Mapping):
            checkpoint = checkpoint[nest]
            break
    plain = {key.removeprefix("module."): value for key, value in checkpoint.items()}
    return {
        rename(key): value
        for key, value in plain.items()
        if isinstance(value, Tensor) and not DEAD.match(key)
    }


def build_vmos(
    config: VMOSConfig | None = None, state_dict: Mapping[str, Any] | None = None
) -> VMOS:
    """Make a VMOS in evaluation mode.

    Args:
        config: its sizes; the released model's by default.
        state_dict: its weights in a layout that `live_weights` reads; random without. Keys that
            inference never reads are ignored, present or not, and so are unknown ones.

    Raises:
        CheckpointError: live weights are missing or of another shape; the message names them.
    """
    if state_dict is None:
        return VMOS(config or VMOSConfig()).eval()
    with torch.device("meta"):
        model = VMOS(config or VMOSConfig())
    weights = live_weights(state_dict)
    expected = model.state_dict()
    missing = [key for key in expected if key not in weights]
    misshapen = [
        f"{key} is {tuple(weights[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in expected
        if key in weights and weights[key].shape != expected[key].shape
    ]
    if missing or misshapen:
        raise CheckpointError(_complaint(missing, misshapen, len(expected)))
    live = {key: weights[key].to(torch.float32) for key in expected}
    model.load_state_dict(live, assign=True)
    return model.requires_grad_(True).eval()


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
