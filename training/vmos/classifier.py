"""Starting a VMOS whose encoder is an image classifier of timm."""

from collections.abc import Mapping

import timm
import torch
from torch import Tensor, nn

from hqtrack.errors import InputError
from vmos import VMOS
from vmos.config import TimmConfig
from vmos.timm_encoder import TimmEncoder, fold, plain_body

GAIN = 1.2
"""Of the orthogonal matrices with which projector and keys start, so that features which differ
have keys that differ, and attention finds something from the first step on."""


def take_classifier(model: VMOS, config: TimmConfig, weights: Mapping[str, Tensor]) -> str:
    """Start the encoder, in place, from weights of the classifier that it is a part of.

    The weights have the names that timm gives them, or come in the same order with the same
    shapes. Returns what was taken, for people. Raises InputError where neither is so.
    """
    body = plain_body(config.name)
    places = timm.create_model(config.name).state_dict()
    named = weights
    if len(weights) == len(places) and not places.keys() <= weights.keys():
        named = dict(zip(places, weights.values(), strict=True))
    others = [
        name
        for name, place in places.items()
        if name not in named or named[name].shape != place.shape
    ]
    if others:
        raise InputError(
            f"these are not the {len(places)} tensors of {config.name}, neither by name nor by "
            f"order: {len(others)} are missing or of another shape ({', '.join(others[:3])}); "
            "give a checkpoint of this classifier"
        )
    taken = {name: named[name.removeprefix("model.")] for name in body.state_dict()}
    body.load_state_dict(taken)
    folded = {f"body.{name}": value for name, value in fold(body).state_dict().items()}
    model.encoder.load_state_dict(folded, strict=False)
    return f"encoder: {len(taken)} of the {len(named)} tensors of {config.name} taken"


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
