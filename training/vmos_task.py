"""Training a VMOS: what it learns from a clip, how it is judged, what it may start from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Generator, Tensor, nn

from hqtrack.errors import InputError
from hqtrack.masks import label_masks
from hqtrack.measures import region_similarity
from hqtrack.segmenter import SegmenterConfig, VideoObjectSegmenter
from hqtrack.tracker import HQTracker
from hqtrack.types import Image
from training.augment import augment
from training.clips import RawClip
from training.pictures import draw_clip
from training.rollout import LossConfig, Prediction, roll_out
from training.sources import Video
from training.task import Chances, Losses
from vmos import VMOS, VMOSConfig, build_vmos
from vmos.checkpoint import official_name


class VMOSTask:
    """Following objects through clips; see `training.task.Task`.

    Args:
        model: what learns.
        loss: what is penalised, and what memory holds.
        segmenter: how held-out videos are tracked.
        held_out: videos with masks on every frame that `evaluate` tracks.
        encoder_ratio: learning rate of the encoder, relative to that of the rest.
        checkpointing: see `roll_out`.
    """

    def __init__(
        self,
        model: VMOS,
        loss: LossConfig,
        segmenter: SegmenterConfig,
        held_out: Sequence[Video] = (),
        encoder_ratio: float = 1.0,
        checkpointing: bool = False,
    ) -> None:
        self.model = model.train()
        self.loss_config = loss
        self.segmenter = segmenter
        self.held_out = held_out
        self.encoder_ratio = encoder_ratio
        self.checkpointing = checkpointing

    def configuration(self) -> dict[str, Any]:
        """The sizes of the network."""
        return {"network": "vmos", **asdict(self.model.config)}

    def rate_scale(self, parameter: str) -> float:
        """The encoder learns at `encoder_ratio` of the rate."""
        return self.encoder_ratio if parameter.startswith("encoder.") else 1.0

    def loss(self, batch: RawClip, chances: Chances) -> Losses:
        """Loss of following the objects of the first frames, see `roll_out`."""
        return self._roll_out(self.model, batch, chances.step).losses

    @torch.no_grad()
    def sample(self, model: nn.Module, batch: RawClip) -> Image:
        """The frames of the first clip with their true labels, below with the predicted ones."""
        first = RawClip(*(part[:1] for part in batch))
        clip = augment(first)
        predicted = self._roll_out(cast(VMOS, model), first, Generator().manual_seed(0)).labels
        truth = clip.labels[0].cpu()
        return draw_clip(clip.frames[0], truth, torch.cat([truth[:1], predicted[0].cpu()]))

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """J of tracking the held-out videos, by name, and its mean; nothing without any.

        As in DAVIS the first and the last frame are left out.
        """
        tracker = HQTracker(VideoObjectSegmenter(cast(VMOS, model), self.segmenter))
        scores = {f"held_out/{video.name}": _track(tracker, video) for video in self.held_out}
        return {"held_out_J": float(np.mean(list(scores.values()))), **scores} if scores else {}

    def _roll_out(self, model: VMOS, batch: RawClip, generator: Generator) -> Prediction:
        with torch.autocast(batch.frames.device.type, enabled=False):
            clip = augment(batch)
        return roll_out(model, clip, self.loss_config, generator, self.checkpointing)


def _track(tracker: HQTracker, video: Video) -> float:
    image, labels = video.frames[0].read()
    objects = np.unique(labels[labels > 0]).tolist()
    tracker.initialize(image, label_masks(labels, objects))
    scores = []
    for frame in video.frames[1:]:
        image, labels = frame.read()
        masks = label_masks(labels, objects)
        scores.append(region_similarity(tracker.track(image).masks, masks))
    return float(np.mean(scores[:-1] or scores))


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
