"""Training of HQ-SAM's added tensors, as a task of the training engine."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from hqsam import HQSam
from hqtrack.types import Image
from hqtrack.video.overlay import draw_masks
from training.data.sources import Annotated
from training.engine.task import Generators, Losses
from training.hqsam.data import Examples
from training.hqsam.losses import Candidates, mask_loss, random_points
from training.hqsam.measures import MEASURES, measure
from training.hqsam.model import AddedParts, Outputs, compare, encode_prompts
from training.hqsam.views import (
    Jitter,
    Kind,
    View,
    draw_prompt,
    jittered,
    object_pixels,
    tight_box,
    whole,
)

_PICTURES = 4


class HQSamTask:
    """High-quality masks from boxes, points and noisy masks; see `training.engine.task.Task`.

    held_out: the images for `evaluate`, which needs at least one.
    """

    def __init__(
        self,
        variant: str,
        sam: HQSam,
        held_out: Sequence[Annotated] = (),
        jitter: Jitter | None = None,
    ) -> None:
        self.model = AddedParts(sam)
        self.variant = variant
        self.held_out = held_out
        self.jitter = jitter or Jitter()
        self.side: int = sam.prompt_encoder.input_image_size[0]

    def configuration(self) -> dict[str, Any]:
        """The image encoder of the tensors."""
        return {"network": "hqsam", "variant": self.variant}

    def learning_rate_scale(self, parameter: str) -> float:
        """1: all tensors have the same learning rate."""
        return 1.0

    def loss(self, batch: Examples, generators: Generators) -> Losses:
        """Cross entropy and dice, with equal weights, of the HQ token's mask alone."""
        batch = Examples(*batch)
        views, prompts, points = [], [], []
        for n, generator in enumerate(generators.samples):
            view = jittered(*_example(batch, n), self.side, self.jitter, generator)
            views.append(view)
            prompts.append(draw_prompt(view.target, generator))
            points.append(random_points(generator))
        candidates = Candidates(
            *(torch.stack(part).to(batch.images.device) for part in zip(*points, strict=True))
        )
        pixels, targets = (torch.stack(part) for part in zip(*views, strict=True))
        logits = self.model(self.model.encode(pixels), prompts)
        loss = mask_loss(logits, targets, candidates)
        parts: Mapping[str, Tensor] = {
            "cross_entropy": loss.cross_entropy.detach(),
            "dice": loss.dice.detach(),
            "J": mean_iou(logits, targets),
        }
        return Losses(loss.cross_entropy + loss.dice, parts)

    @torch.no_grad()
    def sample(self, model: nn.Module, batch: Examples) -> Image:
        """A row per image: the true mask, SAM's mask and the HQ token's mask from its box."""
        batch = Examples(*batch)
        rows = []
        for n in range(min(_PICTURES, len(batch.images))):
            view = whole(*_example(batch, n), self.side)
            outputs = box_outputs(cast(AddedParts, model), view)
            masks = (view.target[None] > 0.5, outputs.sam > 0, outputs.hq > 0)
            rows.append(np.concatenate([_drawn(view, mask) for mask in masks], axis=1))
        return np.concatenate(rows)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """mIoU and boundary mIoU of SAM and of HQ-SAM on the held-out images."""
        means = measure(cast(AddedParts, model).sam, self.held_out)
        return {
            f"held_out_{output}_{name.replace(' ', '_')}": float(score)
            for output, scores in zip(Outputs._fields, means, strict=True)
            for name, score in zip(MEASURES, scores, strict=True)
        }


def box_outputs(model: AddedParts, view: View) -> Outputs:
    """The predictions of SAM and HQ-SAM [1,1,S/4,S/4] for the box around the object of a view."""
    box = tight_box(object_pixels(view.target))
    encoded = model.encode(view.pixels[None])
    hq_features = model.sam.mask_decoder.hq_features(encoded)
    prompt = encode_prompts(model.sam, Kind.BOX, box[None])
    return compare(model.sam, encoded.features, hq_features, *prompt)


@torch.no_grad()
def mean_iou(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over B masks of the IoU of logits [B,1,h,w] with targets [B,1,H,W]; a scalar."""
    size = logits.shape[-2:]
    wanted = F.interpolate(targets, size, mode="bilinear", antialias=True) > 0.5
    found = logits > 0
    overlap = (found & wanted).flatten(1).sum(dim=1)
    union = (found | wanted).flatten(1).sum(dim=1)
    return (overlap / union.clamp_min(1)).mean()


def _example(batch: Examples, n: int) -> tuple[Tensor, Tensor]:
    """Image [3,H,W] and matte [H,W] number n, cropped to their size."""
    height, width = batch.sizes[n].tolist()
    return batch.images[n, :, :height, :width], batch.mattes[n, :height, :width]


def _drawn(view: View, mask: Tensor) -> Image:
    """The view at a quarter of its size under a mask [1,1,h,w]."""
    side = view.pixels.shape[-1] // 4
    small = F.interpolate(view.pixels[None], (side, side), mode="bilinear", antialias=True)
    image = small[0].permute(1, 2, 0).round().to(torch.uint8).cpu().numpy()
    fitted = F.interpolate(mask.float(), (side, side), mode="bilinear", antialias=True) > 0.5
    shown: NDArray[np.bool_] = fitted[0].cpu().numpy()
    return draw_masks(image, shown)
