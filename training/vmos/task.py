"""Training of VMOS, as a task of the training engine."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Generator, nn

from hqtrack.segmenter import SegmenterConfig, VideoObjectSegmenter
from hqtrack.tracker import HQTracker
from hqtrack.types import Image
from training.data.sources import AnnotatedVideo
from training.engine.task import Generators, Losses
from training.vmos.augment import augment
from training.vmos.clips import RawClip
from training.vmos.held_out import follow
from training.vmos.pictures import draw_clip
from training.vmos.rollout import LossConfig, Prediction, roll_out
from vmos import VMOS


class VMOSTask:
    """Tracking objects through clips; see `training.engine.task.Task`.

    Args:
        model: the model to train.
        loss: the losses and the content of memory.
        segmenter: the configuration for tracking held-out videos.
        held_out: videos that `evaluate` tracks.
        encoder_ratio: learning rate of the encoder, relative to that of the rest; 0 freezes it.
            What no classifier has, its projector and context, learns like the rest.
        checkpointing: see `roll_out`.
    """

    def __init__(
        self,
        model: VMOS,
        loss: LossConfig,
        segmenter: SegmenterConfig,
        held_out: Sequence[AnnotatedVideo] = (),
        encoder_ratio: float = 1.0,
        checkpointing: bool = False,
    ) -> None:
        self.model = model.train()
        if not encoder_ratio:
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(not _pretrained(name))
        self.loss_config = loss
        self.segmenter = segmenter
        self.held_out = held_out
        self.encoder_ratio = encoder_ratio
        self.checkpointing = checkpointing

    def configuration(self) -> dict[str, Any]:
        """The sizes of the network."""
        return {"network": "vmos", **self.model.config.to_dict()}

    def learning_rate_scale(self, parameter: str) -> float:
        """`encoder_ratio` for what the encoder has of a classifier, else 1."""
        return self.encoder_ratio if _pretrained(parameter) else 1.0

    def loss(self, batch: RawClip, generators: Generators) -> Losses:
        """Loss of tracking the objects of the first frames, see `roll_out`."""
        return self._roll_out(self.model, batch, generators.step).losses

    @torch.no_grad()
    def sample(self, model: nn.Module, batch: RawClip) -> Image:
        """The frames of the first clip with the true labels, and below with the predicted ones."""
        first = RawClip(*(part[:1] for part in batch))
        clip = augment(first)
        predicted = self._roll_out(cast(VMOS, model), first, Generator().manual_seed(0)).labels
        truth = clip.labels[0].cpu()
        return draw_clip(clip.frames[0], truth, torch.cat([truth[:1], predicted[0].cpu()]))

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """J of tracking the held-out videos, by name, and its mean; empty without such videos.

        See `training.vmos.held_out.follow`.
        """
        tracker = HQTracker(VideoObjectSegmenter(cast(VMOS, model), self.segmenter))
        scores = {f"held_out/{video.name}": follow(tracker, video).J for video in self.held_out}
        return {"held_out_J": float(np.mean(list(scores.values()))), **scores} if scores else {}

    def _roll_out(self, model: VMOS, batch: RawClip, generator: Generator) -> Prediction:
        with torch.autocast(batch.frames.device.type, enabled=False):
            clip = augment(batch)
        return roll_out(model, clip, self.loss_config, generator, self.checkpointing)


def _pretrained(parameter: str) -> bool:
    """Whether a parameter of VMOS may come from a classifier of images."""
    own = ("encoder.projector.", "encoder.context.")
    return parameter.startswith("encoder.") and not parameter.startswith(own)
