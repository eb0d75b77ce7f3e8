"""Training of everything that HQ-SAM light has, as a task of the training engine."""

from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hqsam import HQSam
from hqsam.decoder import AllMasks
from hqsam.light import CORNERS, LightMaskDecoder, LightPromptEncoder
from hqsam.sam import normalise
from hqtrack.types import Image
from hqtrack.video.overlay import draw_masks
from training.engine.precision import in_bfloat16
from training.engine.task import Generators, Losses
from training.hqsam.clicks import correction
from training.hqsam.model import ADDED
from training.hqsam.prompted import Prompted

FROZEN = 3
"""Blocks of the image classifier, after its first convolution, that do not learn (stride 8)."""

ROUNDS = 3
"""Predictions for a prompt: the first one, and one after each corrective click."""

_EDGE = 15
_PICTURES = 6


LIGHT_RUN = {"network": "hqsam", "variant": "light", "parts": "all"}
"""The configuration of a run whose checkpoint has all tensors of HQ-SAM light."""


class Features(NamedTuple):
    """What does not depend on prompts, for B prompts; see `hqsam.ImageEmbedding`."""

    features: Tensor
    hq_features: Tensor
    skip: Tensor


class Prompts(NamedTuple):
    """B prompts, see `LightPromptEncoder.embed`; the corners of a box are the first two points."""

    points: Tensor
    labels: Tensor
    masks: Tensor
    given: Tensor


class InteractiveTask:
    """Masks from boxes, clicks and coarse masks, corrected by clicks; see `Task`.

    The loss of a mask is a cross entropy that weighs pixels near the edge more, and the loss of
    their weighted IoU (F3Net, Wei et al., 2020).

    Args:
        sam: the network that learns, all but the first layers of the image classifier.
        encoder_ratio: learning rate of the image classifier, relative to that of the rest.
        bf16: whether the frozen layers and the decoder compute in bfloat16.
        added_only: whether SAM is frozen, and only the tensors learn that HQ-SAM adds to it
            (HQ-SAM, Training).
    """

    def __init__(
        self,
        sam: HQSam,
        encoder_ratio: float = 1.0,
        bf16: bool = False,
        added_only: bool = False,
    ) -> None:
        self.model = sam.train()
        self.added_only = added_only
        if added_only:
            sam.requires_grad_(False)
            for part in ADDED:
                getattr(sam.mask_decoder, part).requires_grad_(True)
        self.encoder_ratio = encoder_ratio
        self.bf16 = bf16
        body = cast(Any, sam.image_encoder).body.model
        for part in (body.conv_stem, *body.blocks[:FROZEN]):
            part.requires_grad_(False)
            if bf16:
                in_bfloat16(part)

    def configuration(self) -> dict[str, Any]:
        """The network."""
        return dict(LIGHT_RUN)

    def learning_rate_scale(self, parameter: str) -> float:
        """`encoder_ratio` for the image classifier, else 1."""
        return self.encoder_ratio if ".body." in parameter else 1.0

    def loss(self, batch: Prompted, generators: Generators) -> Losses:
        """Losses of all masks after the prompts of a batch, and after each corrective click."""
        batch = Prompted(*batch)
        count = len(batch.pixels)
        features = encode(self.model, batch.pixels)
        target = _halved(batch.target[:, None].float() / 255)
        known = (_halved(batch.known[:, None].float()) > 0.99).float()
        weight = edge_weight(target) * known
        prompts = first_prompts(batch)
        index = torch.arange(count, device=target.device).repeat_interleave(2)
        rng = np.random.default_rng(int(torch.randint(2**31, (), generator=generators.step).item()))
        total = target.new_zeros(())
        parts: dict[str, Tensor] = {}
        for number in range(ROUNDS):
            picked = Features(*(part[index] for part in features))
            masks = self._decode(picked, prompts)
            single = prompts.labels.ge(0).sum(1) + 2 * prompts.given > 1
            of_sam, of_hq, scores = mask_losses(masks, target[index], weight[index], single)
            loss = of_hq if self.added_only else of_sam + of_hq
            total = total + loss * len(index) / (2 * count)
            if number == 0:
                best = scores[:, 1:].gather(1, masks.scores[:, 1:].argmax(1, keepdim=True))
                parts |= {
                    "J": best[0::2].mean(),
                    "click_J": best[1::2].mean(),
                    "loss_0": loss.detach(),
                }
                chosen = torch.from_numpy(rng.random(len(index)) < np.tile((0.5, 1.0), count))
            else:
                if number == 1:
                    parts["corrected_J"] = scores[:, 0].mean()
                chosen = torch.from_numpy(rng.random(len(index)) < 0.4)
            if number + 1 == ROUNDS or not chosen.any():
                break
            prompts = corrected(rng, prompts, masks, target[index], known[index])
            prompts = Prompts(*(part[chosen] for part in prompts))
            index = index[chosen]
        return Losses(total, parts)

    def _decode(self, features: Features, prompts: Prompts) -> AllMasks:
        with torch.autocast(features.features.device.type, torch.bfloat16, enabled=self.bf16):
            masks = decode(self.model, features, prompts)
        return AllMasks(*(part.float() for part in masks))

    @torch.no_grad()
    def sample(self, model: nn.Module, batch: Prompted) -> Image:
        """A column per view: the true mask, and the masks for a box or mask and for clicks."""
        batch = Prompted(*(part[:_PICTURES] for part in batch))
        sam = cast(HQSam, model)
        features = encode(sam, batch.pixels)
        index = torch.arange(len(batch.pixels)).repeat_interleave(2)
        masks = decode(sam, Features(*(part[index] for part in features)), first_prompts(batch))
        best = masks.scores[:, 1:].argmax(1) + 1
        logits = masks.sam[torch.arange(len(best)), best][:, None] + masks.hq
        shown = F.interpolate(logits, batch.target.shape[-2:], mode="bilinear") > 0
        columns = [
            np.concatenate(
                [
                    draw_masks(np.ascontiguousarray(image), mask[None].numpy())
                    for mask in (target > 127, *found)
                ]
            )
            for image, target, found in zip(
                batch.pixels.permute(0, 2, 3, 1).numpy(),
                batch.target,
                shown[:, 0].unflatten(0, (-1, 2)),
                strict=True,
            )
        ]
        return np.concatenate(columns, axis=1)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Nothing: `training.hqsam.light --evaluate` measures."""
        return {}


def encode(sam: HQSam, pixels: Tensor) -> Features:
    """The features of views [B,3,S,S] in 0..255."""
    encoded = sam.image_encoder(normalise(pixels.float()))
    decoder = cast(LightMaskDecoder, sam.mask_decoder)
    return Features(encoded.features, decoder.hq_features(encoded), decoder.skip_features(encoded))


def decode(sam: HQSam, features: Features, prompts: Prompts) -> AllMasks:
    """All masks for one prompt per view."""
    encoder = cast(LightPromptEncoder, sam.prompt_encoder)
    with torch.autocast(features.features.device.type, enabled=False):
        sparse, dense = encoder.embed(*prompts)
        positions = encoder.get_dense_pe()
    return sam.mask_decoder.predict_masks(
        features.features, features.hq_features, positions, sparse, dense, features.skip
    )


def first_prompts(batch: Prompted) -> Prompts:
    """The prompts of a batch, two per view, one after the other."""
    boxes = batch.boxes.flatten(0, 1)
    has = ~boxes[:, :1].isnan()
    corners = torch.where(has, torch.tensor(CORNERS, device=boxes.device), -1)
    return Prompts(
        torch.cat([boxes.nan_to_num().view(-1, 2, 2), batch.points.flatten(0, 1)], dim=1),
        torch.cat([corners, batch.labels.flatten(0, 1)], dim=1),
        batch.masks.flatten(0, 1),
        batch.given.flatten(),
    )


@torch.no_grad()
def corrected(
    rng: np.random.Generator, prompts: Prompts, masks: AllMasks, target: Tensor, known: Tensor
) -> Prompts:
    """The prompts with one more click in what is wrong, and with the predicted masks."""
    best = masks.scores[:, 1:].argmax(1) + 1
    multi = (prompts.labels >= 0).sum(1) > 1
    best = torch.where(multi, 0, best)
    logits = masks.sam[torch.arange(len(best)), best][:, None]
    wanted = F.interpolate(target, logits.shape[-2:], mode="area") > 0.5
    sure = F.interpolate(known, logits.shape[-2:], mode="area") > 0.5
    found = torch.where(sure, logits > 0, wanted)
    clicks = [
        correction(rng, one, other)
        for one, other in zip(found[:, 0].cpu().numpy(), wanted[:, 0].cpu().numpy(), strict=True)
    ]
    where = 4 * torch.tensor([[click[0]] for click in clicks]).to(prompts.points) + 1.5
    labels = torch.tensor([[click[1]] for click in clicks]).to(prompts.labels)
    return Prompts(
        torch.cat([prompts.points, where], dim=1),
        torch.cat([prompts.labels, labels], dim=1),
        logits,
        torch.ones_like(prompts.given),
    )


def mask_losses(
    masks: AllMasks, target: Tensor, weight: Tensor, single: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The losses of SAM's and of the HQ token's part of B predictions, and SAM's IoU [B,4].

    Args:
        masks: the predictions.
        target: [B,1,h,w] in [0, 1]; twice the size of the masks.
        weight: [B,1,h,w], how much a pixel counts; 0 where the target is not known.
        single: [B] bool, whether the prompt says which object is meant, so that SAM's first mask
            has to be it. Of the other three the best one learns.
    """
    size = target.shape[-2:]
    logits = F.interpolate(torch.cat([masks.sam, masks.hq], dim=1), size, mode="bilinear")
    losses = structure_loss(logits, target, weight)
    three = losses[:, 1:4]
    first = (losses[:, 0] * single).sum() / len(single)
    with torch.no_grad():
        known = (weight > 0).float()
        ious = overlap((logits[:, :4] > 0) * known, (target > 0.5) * known)
    quality = F.mse_loss(masks.scores, ious)
    return first + three.amin(1).mean() + 0.1 * three.mean() + quality, losses[:, 4].mean(), ious


def overlap(found: Tensor, wanted: Tensor) -> Tensor:
    """IoU [B,M] of masks [B,M,h,w] with [B,1,h,w], all 0 or 1."""
    shared = (found * wanted).sum((2, 3))
    union = (found + wanted).sum((2, 3)) - shared
    return shared / union.clamp_min(1)


def edge_weight(target: Tensor) -> Tensor:
    """The weight of each pixel of targets [B,1,h,w]: 1, and near edges up to 3.5."""
    mean = F.avg_pool2d(target, _EDGE, 1, _EDGE // 2, count_include_pad=False)
    return 1 + 5 * (mean - target).abs()


def structure_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted cross entropy and weighted IoU loss [B,M] of logits [B,M,h,w]."""
    entropy = F.binary_cross_entropy_with_logits(logits, target.expand_as(logits), reduction="none")
    norm = weight.sum((2, 3)).clamp_min(1)
    probability = logits.sigmoid()
    shared = (probability * target * weight).sum((2, 3))
    either = ((probability + target) * weight).sum((2, 3)) - shared
    return (entropy * weight).sum((2, 3)) / norm + 1 - (shared + 1) / (either + 1)


def _halved(maps: Tensor) -> Tensor:
    return F.avg_pool2d(maps, 2)
