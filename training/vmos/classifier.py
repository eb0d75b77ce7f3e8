"""Starting a VMOS whose encoder is an image classifier of timm."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from training.engine.classifier import folded_body
from vmos import VMOS
from vmos.config import TimmConfig
from vmos.timm_encoder import STRIDES, TimmEncoder

GAIN = 1.2
"""Of the orthogonal matrices with which projector and keys start, so that features which differ
have keys that differ, and attention finds something from the first step on."""


def take_classifier(model: VMOS, config: TimmConfig, weights: Mapping[str, Tensor]) -> str:
    """Start the encoder, in place, from weights of the classifier that it is a part of.

    Returns what was taken, for people. See `training.engine.classifier` for weights and errors.
    """
    body, told = folded_body(config.name, STRIDES, weights)
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


def _orthogonal(layer: nn.Conv2d | nn.Linear, outputs: int | None = None) -> None:
    """Let the first outputs of a layer, or all, start orthogonal and without bias."""
    nn.init.orthogonal_(layer.weight[:outputs], GAIN)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias[:outputs])
