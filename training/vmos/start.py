"""The initial weights of a training of VMOS."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

from torch import Tensor, nn
from torch.utils.data import default_collate

from hqtrack import weights as known
from hqtrack.errors import InputError
from training.engine.run_folder import read_checkpoint
from training.vmos.augment import augment
from training.vmos.classifier import prepare_matching, take_classifier, with_context
from training.vmos.clips import Clips
from vmos import VMOS, InternImageConfig, TimmConfig, VMOSConfig, build_vmos
from vmos.checkpoint import CheckpointError, official_name


def initialise(model: VMOS) -> VMOS:
    """Initialise every DCNv3 as the average of its nine neighbours, in place."""
    for name, parameter in model.named_parameters():
        if ".dcn.offset." in name or ".dcn.mask." in name:
            nn.init.zeros_(parameter)
    return model


def deepen(config: VMOSConfig, weights: Mapping[str, Any]) -> dict[str, Any]:
    """Weights of a VMOS with fewer InternImage blocks, extended to this configuration.

    A new block passes its input on unchanged until it has learnt something.
    """
    deeper = initialise(build_vmos(config)).state_dict()
    added = dict(weights)
    depths = cast(InternImageConfig, config.encoder).depths
    for level, depth in enumerate(depths):
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
    """The tensors of an encoder and of a checkpoint, by their official names.

    Attributes:
        taken: tensors that the encoder now has from the checkpoint.
        misshapen: tensors that have another shape in the checkpoint.
        missing: tensors of the encoder that the checkpoint lacks.
        unused: tensors of the checkpoint that the encoder does not have.
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
    """Initialise the encoder from the weights of an image classifier, in place.

    This takes the tensors whose name and shape match. Names are those of the official InternImage,
    such as `patch_embed.conv1.weight`, with or without the prefix `encoder.` or `backbone.`. Raises
    InputError if nothing matches.
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


MEASURED = 8
"""Clips on which the features of a classifier are measured at the start."""


def make_model(args: argparse.Namespace, config: VMOSConfig, clips: Clips, tell: Tell) -> VMOS:
    """The network with its initial weights: random, given, or with a given encoder."""
    adds_context = args.deepen and isinstance(config.encoder, TimmConfig)
    if args.start and args.encoder and not adds_context:
        raise InputError("--start includes an encoder: give either --start or --encoder")
    if args.start:
        try:
            weights = _starting_weights(args.start)
            if args.deepen:
                weights = _deepened(args, config, weights, clips)
            return build_vmos(config, weights)
        except CheckpointError as error:
            raise InputError(f"{args.start}: {error}") from error
    model = initialise(build_vmos(config))
    if args.encoder:
        weights = known.load(args.encoder)
        if isinstance(config.encoder, TimmConfig):
            told = take_classifier(model, config.encoder, weights)
        else:
            told = str(take_encoder(model, weights))
        tell(f"{args.encoder}: {told}")
    if isinstance(config.encoder, TimmConfig):
        prepare_matching(model, _first_frames(clips))
    return model


def _deepened(
    args: argparse.Namespace, config: VMOSConfig, weights: Mapping[str, Any], clips: Clips
) -> dict[str, Any]:
    """The weights extended to this configuration, by blocks or by the end of a classifier."""
    if isinstance(config.encoder, InternImageConfig):
        return deepen(config, weights)
    if not args.encoder:
        raise InputError("--deepen takes the end of a timm classifier from --encoder: give it too")
    return with_context(config, weights, known.load(args.encoder), _first_frames(clips))


def _first_frames(clips: Clips) -> Tensor:
    """The frames of the first clips, normalised [B,3,h,w]."""
    batch = default_collate([clips[index] for index in range(MEASURED)])
    return augment(batch).frames.flatten(0, 1)


def _starting_weights(file: Path) -> dict[str, Any]:
    """The averaged weights of a run's checkpoint, or the weights of another file."""
    if file.suffix == ".pt":
        average: dict[str, Any] = read_checkpoint(file)["average"]
        return average
    return known.load(file)
