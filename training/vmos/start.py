"""What a VMOS starts its training from."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor, nn

from hqtrack import weights as known
from hqtrack.errors import InputError
from training.engine.run_folder import read_checkpoint
from vmos import VMOS, VMOSConfig, build_vmos
from vmos.checkpoint import CheckpointError, official_name


def initialise(model: VMOS) -> VMOS:
    """Start every DCNv3 as a plain average of its nine neighbours, in place."""
    for name, parameter in model.named_parameters():
        if ".dcn.offset." in name or ".dcn.mask." in name:
            nn.init.zeros_(parameter)
    return model


def deepen(config: VMOSConfig, weights: Mapping[str, Any]) -> dict[str, Any]:
    """Weights of a VMOS whose encoder has fewer blocks, with those of this configuration added.

    A block that is added passes its input on as it is until it has learnt something.
    """
    deeper = initialise(build_vmos(config)).state_dict()
    added = dict(weights)
    for level, depth in enumerate(config.encoder_depths):
        for block in range(depth):
            prefix = f"encoder.levels.{level}.blocks.{block}."
            if any(name.startswith(prefix) for name in weights):
                continue
            last = (f"{prefix}dcn.output_proj.", f"{prefix}mlp.fc2.")
            for name, value in deeper.items():
                if name.startswith(prefix):
                    added[name] = value.zero_() if name.startswith(last) else value
    return added


class Taken(NamedTuple):
    """What an encoder got from a checkpoint, official names.

    Attributes:
        taken: tensors that the encoder now has from there.
        misshapen: tensors that are there in another shape.
        missing: tensors of the encoder that are not there.
        unused: tensors that the encoder has no place for.
    """

    taken: list[str]
    misshapen: list[str]
    missing: list[str]
    unused: list[str]

    def __str__(self) -> str:
        left = ("of another shape", self.misshapen), ("missing", self.missing)
        others = (*left, ("of the checkpoint not used", self.unused))
        told = [f"{len(names)} {what} ({_some(names)})" for what, names in others if names]
        return "; ".join([f"encoder: {len(self.taken)} tensors taken", *told])


def take_encoder(model: VMOS, weights: Mapping[str, Tensor]) -> Taken:
    """Start the encoder from weights of an image classifier, in place.

    Taken is what matches in name and shape; names are those of the official InternImage, as in
    `patch_embed.conv1.weight`, with or without `encoder.` or `backbone.` in front. Raises
    InputError where nothing does.
    """
    stored = {
        name.removeprefix("backbone.").removeprefix("encoder."): weights[name] for name in weights
    }
    taken, misshapen, missing = [], [], []
    places = {
        official_name(f"encoder.{key}").removeprefix("encoder."): value
        for key, value in model.encoder.state_dict().items()
    }
    for name, place in places.items():
        if name not in stored:
            missing.append(name)
        elif stored[name].shape != place.shape:
            misshapen.append(name)
        else:
            place.copy_(stored[name])
            taken.append(name)
    if not taken:
        raise InputError(
            f"none of its {len(stored)} tensors ({_some(list(stored))}) fits the encoder: give an "
            "InternImage checkpoint, with names like patch_embed.conv1.weight"
        )
    return Taken(taken, misshapen, missing, [name for name in stored if name not in places])


def _some(names: Sequence[str], most: int = 6) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


Tell: TypeAlias = Callable[[str], None]


def make_model(args: argparse.Namespace, config: VMOSConfig, tell: Tell) -> VMOS:
    """The network with the weights it starts from: random, given, or a given encoder."""
    if args.start and args.encoder:
        raise InputError("--start brings an encoder along: give either --start or --encoder")
    if args.start:
        weights = _starting_weights(args.start)
        if args.deepen:
            weights = deepen(config, weights)
        try:
            return build_vmos(config, weights)
        except CheckpointError as error:
            raise InputError(f"{args.start}: {error}") from error
    model = initialise(build_vmos(config))
    if args.encoder:
        tell(f"{args.encoder}: {take_encoder(model, known.load(args.encoder))}")
    return model


def _starting_weights(file: Path) -> dict[str, Any]:
    """The averaged weights of a run's checkpoint, or the weights of another file."""
    if file.suffix == ".pt":
        average: dict[str, Any] = read_checkpoint(file)["average"]
        return average
    return known.load(file)
