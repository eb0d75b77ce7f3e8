"""HQ-SAM as one module: encodes an image once, then predicts masks for any number of prompts."""

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from hqsam.decoder import AllMasks, HQMaskDecoder, HQPromptEncoder, Prediction
from hqsam.sizes import RELEASED

_PIXEL_MEAN = (123.675, 116.28, 103.53)
_PIXEL_STD = (58.395, 57.12, 57.375)


class ImageEmbedding(NamedTuple):
    """The features of an image, or of I images of one size, which do not depend on prompts.

    The released networks have S = 1024 pixels and D = 256 channels.

    features: [I,D,S/16,S/16]. hq_features: [I,D/8,S/4,S/4], early and final features fused.
    image_size: (height, width) of the image. input_size: (height, width) after resizing; the rest
    of the S x S input is padding. skip: [I,D/8,S/4,S/4] for SAM's masks, None in the released
    networks.
    """

    features: Tensor
    hq_features: Tensor
    image_size: tuple[int, int]
    input_size: tuple[int, int]
    skip: Tensor | None = None

    def take(self, images: Tensor) -> "ImageEmbedding":
        """That of the images with these numbers [B], which may repeat."""
        skip = None if self.skip is None else self.skip[images]
        return self._replace(
            features=self.features[images], hq_features=self.hq_features[images], skip=skip
        )


class HQSam(nn.Module):
    """Segment Anything in High Quality (Ke et al., 2023).

    All returned tensors are on the device of the parameters. Points and boxes are in pixels
    of the image, (x, y) with the origin at the centre of the top-left pixel.
    """

    def __init__(
        self,
        image_encoder: nn.Module,
        prompt_encoder: HQPromptEncoder,
        mask_decoder: HQMaskDecoder,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = prompt_encoder
        self.mask_decoder = mask_decoder

    @property
    def side(self) -> int:
        """Side of the square network input, in pixels."""
        side: int = self.prompt_encoder.input_image_size[0]
        return side

    @torch.inference_mode()
    def embed(self, image: Tensor) -> ImageEmbedding:
        """Encode an RGB image [H,W,3] uint8.

        The longest side is resized to that of the network input, 1024 pixels in the released
        networks, and the rest is padded. An image on a GPU is resized there, any other image as
        published. Raises ValueError for another shape or type.
        """
        shape = list(image.shape)
        if image.dtype != torch.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise ValueError(
                f"HQ-SAM needs an image [H,W,3] of type uint8, not {shape} of type {image.dtype}: "
                "convert it to 8-bit RGB"
            )
        weight = next(self.parameters())
        resize = resize_on_device if image.is_cuda else resize_longest_side
        resized = resize(image, self.side)
        pixels = normalise(resized.to(weight.device, weight.dtype).permute(2, 0, 1))
        height, width = resized.shape[:2]
        padding = (0, self.side - width, 0, self.side - height)
        inputs = F.pad(pixels, padding).unsqueeze(0)
        return self._embedding(inputs, (image.shape[0], image.shape[1]), (height, width))

    @torch.inference_mode()
    def embed_views(self, views: Tensor) -> ImageEmbedding:
        """Encode square views [I,S,S,3] uint8 that have the size of the network input.

        `predict` then takes one prompt per view.
        """
        weight = next(self.parameters())
        pixels = normalise(views.to(weight.device, weight.dtype).permute(0, 3, 1, 2))
        return self._embedding(pixels, (self.side, self.side), (self.side, self.side))

    def _embedding(
        self, inputs: Tensor, image_size: tuple[int, int], input_size: tuple[int, int]
    ) -> ImageEmbedding:
        """The features of normalised network inputs [I,3,S,S]."""
        encoded = self.image_encoder(inputs)
        decoder = self.mask_decoder
        return ImageEmbedding(
            encoded.features,
            decoder.hq_features(encoded),
            image_size,
            input_size,
            decoder.skip_features(encoded),
        )

    @torch.inference_mode()
    def predict(
        self,
        embedding: ImageEmbedding,
        *,
        points: Tensor | None = None,
        labels: Tensor | None = None,
        boxes: Tensor | None = None,
        masks: Tensor | None = None,
        multimask: bool = True,
        hq_token_only: bool = False,
    ) -> Prediction:
        """Predict one mask for each of B prompts; a prompt may combine points, a box and a mask.

        points: [B,P,2] (x, y). labels: [B,P], 1 = foreground, 0 = background, -1 = no point.
        boxes: [B,4] left, top, right, bottom. masks: [B,1,S/4,S/4] logits, from a `Prediction`.
        multimask: use the best-scored of SAM's three masks for ambiguous prompts, as HQTrack does;
        otherwise the mask of single-mask mode. hq_token_only: return the HQ token's mask alone, not
        its sum with SAM's. Raises ValueError if the prompts do not fit each other or the image.
        """
        sparse, dense = self._encode_prompts(embedding, points, labels, boxes, masks)
        weight = self.mask_decoder.iou_token.weight
        positions = self.prompt_encoder.get_dense_pe()
        prediction: Prediction = self.mask_decoder(
            embedding.features.to(weight),
            embedding.hq_features.to(weight),
            positions,
            sparse.to(weight),
            dense,
            multimask=multimask,
            hq_token_only=hq_token_only,
            skip=None if embedding.skip is None else embedding.skip.to(weight),
        )
        return prediction

    @torch.inference_mode()
    def predict_all(
        self,
        embedding: ImageEmbedding,
        *,
        points: Tensor | None = None,
        labels: Tensor | None = None,
        boxes: Tensor | None = None,
        masks: Tensor | None = None,
    ) -> AllMasks:
        """All predictions for each of B prompts, which are those of `predict`."""
        sparse, dense = self._encode_prompts(embedding, points, labels, boxes, masks)
        weight = self.mask_decoder.iou_token.weight
        return self.mask_decoder.predict_masks(
            embedding.features.to(weight),
            embedding.hq_features.to(weight),
            self.prompt_encoder.get_dense_pe(),
            sparse.to(weight),
            dense,
            None if embedding.skip is None else embedding.skip.to(weight),
        )

    def _encode_prompts(
        self,
        embedding: ImageEmbedding,
        points: Tensor | None,
        labels: Tensor | None,
        boxes: Tensor | None,
        masks: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Tokens and dense embeddings of prompts; raises ValueError as `predict` does."""
        _check_prompts(embedding, self.side, points, labels, boxes, masks)
        weight = self.mask_decoder.iou_token.weight
        ratio = [embedding.input_size[i] / embedding.image_size[i] for i in (1, 0)]

        def scaled(places: Tensor) -> Tensor:
            """Computed where the prompts are, and copied without waiting for the device."""
            scale = torch.tensor(ratio, dtype=torch.float64, device=places.device)
            moved = places.unflatten(-1, (-1, 2)).double() * scale
            return moved.flatten(-2).float().to(weight.device, non_blocking=True)

        if points is not None and labels is not None:
            clicks = (scaled(points), labels.to(weight.device))
        else:
            clicks = None
        encoded: tuple[Tensor, Tensor] = self.prompt_encoder(
            points=clicks,
            boxes=None if boxes is None else scaled(boxes),
            masks=None if masks is None else masks.to(weight),
        )
        return encoded

    @torch.inference_mode()
    def to_image(self, logits: Tensor, embedding: ImageEmbedding) -> Tensor:
        """Remove the padding of logits [B,1,S/4,S/4] and resize them to the image, [B,1,H,W]."""
        height, width = embedding.input_size
        square = F.interpolate(logits.float(), (self.side, self.side), mode="bilinear")
        return F.interpolate(square[..., :height, :width], embedding.image_size, mode="bilinear")


def normalise(pixels: Tensor) -> Tensor:
    """Normalise RGB [...,3,H,W] from 0 to 255 by the mean and standard deviation."""
    mean, std = _mean_and_deviation(pixels.device, pixels.dtype)
    return (pixels - mean) / std


@cache
def _mean_and_deviation(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """[3,1,1] each; once per device, because a copy from the CPU waits for a GPU."""
    with torch.inference_mode(False):
        mean, std = (
            torch.tensor(constants, dtype=dtype, device=device).view(3, 1, 1)
            for constants in (_PIXEL_MEAN, _PIXEL_STD)
        )
    return mean, std


def resize_longest_side(image: Tensor, side: int = RELEASED.image) -> Tensor:
    """Resize an image [H,W,3] uint8 so that its longest side has `side` pixels, bilinear.

    The published models were trained with Pillow's filter. The shortest side keeps at least one
    pixel.
    """
    width, height = _resized_size(image, side)[::-1]
    resized = Image.fromarray(image.numpy()).resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized))


def resize_on_device(image: Tensor, side: int = RELEASED.image) -> Tensor:
    """`resize_longest_side` on the image's device, without Pillow.

    Grey levels differ by at most one, because Pillow rounds between the two directions.
    """
    pixels = image.permute(2, 0, 1).unsqueeze(0).float()
    size = _resized_size(image, side)
    with torch.autocast(image.device.type, enabled=False):
        resized = F.interpolate(pixels, size, mode="bilinear", antialias=True)
    return resized.round()[0].permute(1, 2, 0).to(torch.uint8)


def _resized_size(image: Tensor, side: int) -> list[int]:
    """Height and width of an image [H,W,3] after resizing its longest side to `side` pixels."""
    scale = side / max(image.shape[:2])
    return [max(1, int(length * scale + 0.5)) for length in image.shape[:2]]


def _check_prompts(
    embedding: ImageEmbedding,
    side: int,
    points: Tensor | None,
    labels: Tensor | None,
    boxes: Tensor | None,
    masks: Tensor | None,
) -> None:
    """Raise ValueError unless the prompts are as `HQSam.predict` describes them."""
    given = [prompt for prompt in (points, boxes, masks) if prompt is not None]
    if not given:
        raise ValueError("HQ-SAM needs a prompt: give points with labels, boxes or masks")
    images = len(embedding.features)
    if images > 1 and len(given[0]) != images:
        raise ValueError(f"{len(given[0])} prompts for {images} images: give one for each")
    if len({len(prompt) for prompt in given}) > 1:
        raise ValueError(
            f"points, boxes and masks are for {[len(prompt) for prompt in given]} prompts: "
            "give the same number of each"
        )
    if (points is None) != (labels is None) or (
        points is not None and labels is not None and points.shape != (*labels.shape, 2)
    ):
        raise ValueError("points [B,P,2] and labels [B,P] go together: give one label per point")
    if masks is not None and masks.shape[1:] != (1, side // 4, side // 4):
        raise ValueError(
            f"mask prompts are logits [B,1,{side // 4},{side // 4}], not {list(masks.shape)}"
        )
    if boxes is None:
        return
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes are [B,4] left, top, right, bottom, not {list(boxes.shape)}")
    left, top, right, bottom = boxes.unbind(1)
    height, width = embedding.image_size
    inside = (left <= right) & (top <= bottom) & (right >= 0) & (bottom >= 0)
    inside &= (left <= width - 1) & (top <= height - 1)
    if not inside.all():
        wrong = boxes[~inside][0].tolist()
        raise ValueError(
            f"box {wrong} is not in the image of {width} x {height} pixels: give left, top, "
            "right, bottom in pixels, left <= right and top <= bottom"
        )
