"""Starting a network from an image classifier of timm."""

from collections.abc import Mapping, Sequence

import timm
from torch import Tensor

from backbones.timm_body import fold, plain_body
from hqtrack.errors import InputError


def folded_body(
    name: str, strides: Sequence[int], weights: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], str]:
    """The tensors of the classifier's part up to the last stride, with folded batch norms.

    The weights have the names that timm gives them, or come in the same order with the same
    shapes. Also returns what was taken, for people. Raises InputError where neither is so.
    """
    places = timm.create_model(name).state_dict()
    named = weights
    if len(weights) == len(places) and not places.keys() <= weights.keys():
        named = dict(zip(places, weights.values(), strict=True))
    others = [
        key for key, place in places.items() if key not in named or named[key].shape != place.shape
    ]
    if others:
        raise InputError(
            f"these are not the {len(places)} tensors of {name}, neither by name nor by "
            f"order: {len(others)} are missing or of another shape ({', '.join(others[:3])}); "
            "give a checkpoint of this classifier"
        )
    body = plain_body(name, strides)
    taken = {key: named[key.removeprefix("model.")] for key in body.state_dict()}
    body.load_state_dict(taken)
    told = f"encoder: {len(taken)} of the {len(named)} tensors of {name} taken"
    return fold(body).state_dict(), told
