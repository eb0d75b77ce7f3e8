"""Starting a VMOS whose encoder is an image classifier of timm."""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from hqtrack.errors import InputError
from training.engine.classifier import folded_body
from vmos import VMOS, VMOSConfig, build_vmos
from vmos.config import TimmConfig
from vmos.timm_encoder import TimmEncoder, strides_of

GAIN = 1.2
"""Of the orthogonal matrices with which projector and keys start, so that features which differ
have keys that differ, and attention finds something from the first step on."""


def take_classifier(model: VMOS, config: TimmConfig, weights: Mapping[str, Tensor]) -> str:
    """Start the encoder, in place, from weights of the classifier that it is a part of.

    Returns what was taken, for people. See `training.engine.classifier` for weights and errors.
    """
    body, told = folded_body(config.name, strides_of(config), weights)
    model.encoder.load_state_dict(
        {f"body.{name}": value for name, value in body.items()}, strict=False
    )
    return told


@torch.no_grad()
def prepare_matching(model: VMOS, images: Tensor) -> None:
    """Let attention find like among like from the first step on, in place.

    Features of a classifier get mean 0 and deviation 1 per channel over the images, normalised
    [B,3,h,w]; projector and keys become orthogonal.
    """
    if isinstance(model.encoder, TimmEncoder):
        model.encoder.measure(images)
    _orthogonal(model.encoder.projector)
    for layer in model.propagation.layers():
        _orthogonal(layer.query_value, layer.split[0])


@torch.no_grad()
def with_context(
    config: VMOSConfig,
    weights: Mapping[str, Tensor],
    classifier: Mapping[str, Tensor],
    images: Tensor,
) -> dict[str, Tensor]:
    """Weights of a VMOS without context, see `TimmConfig`, extended to a configuration with it.

    The stages up to stride 32 come from the classifier; their feature is standardised over the
    images, normalised [B,3,h,w]. What is added to the coarse feature is 0 until it learns.

    Raises InputError where the configuration has no context or the weights do not fit.
    """
    if not (isinstance(config.encoder, TimmConfig) and config.encoder.context):
        raise InputError("the configuration has no context to add: leave --deepen out")
    without = replace(config, encoder=replace(config.encoder, context=False))
    present = build_vmos(without, weights).state_dict()
    model = build_vmos(config)
    take_classifier(model, config.encoder, classifier)
    model.load_state_dict(present, strict=False)
    encoder = cast(TimmEncoder, model.encoder)
    encoder.measure(images)
    model.load_state_dict(present, strict=False)
    for parameter in cast(nn.Conv2d, encoder.context).parameters():
        nn.init.zeros_(parameter)
    return model.state_dict()


def _orthogonal(layer: nn.Conv2d | nn.Linear, outputs: int | None = None) -> None:
    """Let the first outputs of a layer, or all, start orthogonal and without bias."""
    nn.init.orthogonal_(layer.weight[:outputs], GAIN)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias[:outputs])
