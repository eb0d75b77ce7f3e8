"""HQ-SAM as one module: encodes an image once, then predicts masks for any number of prompts."""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from hqsam.decoder import HQMaskDecoder, HQPromptEncoder, Prediction
from hqsam.encoder import IMAGE_SIZE

_PIXEL_MEAN = (123.675, 116.28, 103.53)
_PIXEL_STD = (58.395, 57.12, 57.375)


class ImageEmbedding(NamedTuple):
    """The features of an image, which do not depend on prompts.

    features: [1,256,64,64]. hq_features: [1,32,256,256], early and final features fused.
    image_size: (height, width) of the image. input_size: (height, width) after resizing; the rest
    of the 1024 x 1024 input is padding.
    """

    features: Tensor
    hq_features: Tensor
    image_size: tuple[int, int]
    input_size: tuple[int, int]


class HQSam(nn.Module):
    """Segment Anything in High Quality (Ke et al., 2023).

    All returned tensors are on the device of the parameters. Points and boxes are in pixels
    of the image, (x, y) with the origin at the centre of the top-left pixel.
    """

    def __init__(self, image_encoder: nn.Module, early_dim: int) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.prompt_encoder = HQPromptEncoder()
        self.mask_decoder = HQMaskDecoder(early_dim)

    @torch.inference_mode()
    def embed(self, image: Tensor) -> ImageEmbedding:
        """Encode an RGB image [H,W,3] uint8.

        The longest side is resized to 1024 pixels and the rest is padded. An image on a GPU is
        resized there, any other image as published. Raises ValueError for another shape or type.
        """
        shape = list(image.shape)
        if image.dtype != torch.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise ValueError(
                f"HQ-SAM needs an image [H,W,3] of type uint8, not {shape} of type {image.dtype}: "
                "convert it to 8-bit RGB"
            )
        weight = next(self.parameters())
        resized = resize_on_device(image) if image.is_cuda else resize_longest_side(image)
        pixels = normalise(resized.to(weight.device, weight.dtype).permute(2, 0, 1))
        height, width = resized.shape[:2]
        padding = (0, IMAGE_SIZE - width, 0, IMAGE_SIZE - height)
        encoded = self.image_encoder(F.pad(pixels, padding).unsqueeze(0))
        return ImageEmbedding(
            encoded.features,
            self.mask_decoder.hq_features(encoded),
            (image.shape[0], image.shape[1]),
            (height, width),
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
        boxes: [B,4] left, top, right, bottom. masks: [B,1,256,256] logits, from a `Prediction`.
        multimask: use the best-scored of SAM's three masks for ambiguous prompts, as HQTrack does;
        otherwise the mask of single-mask mode. hq_token_only: return the HQ token's mask alone, not
        its sum with SAM's. Raises ValueError if the prompts do not fit each other or the image.
        """
        _check_prompts(embedding.image_size, points, labels, boxes, masks)
        weight = self.mask_decoder.iou_token.weight
        scale = torch.tensor(
            [embedding.input_size[i] / embedding.image_size[i] for i in (1, 0)],
            dtype=torch.float64,
            device=weight.device,
        )
        if points is not None and labels is not None:
            clicks = ((points.to(scale) * scale).float(), labels.to(weight.device))
        else:
            clicks = None
        sparse, dense = self.prompt_encoder(
            points=clicks,
            boxes=None if boxes is None else (boxes.to(scale) * scale.repeat(2)).float(),
            masks=None if masks is None else masks.to(weight),
        )
        positions = self.prompt_encoder.get_dense_pe()
        prediction: Prediction = self.mask_decoder(
            embedding.features.to(weight),
            embedding.hq_features.to(weight),
            positions,
            sparse.to(weight),
            dense,
            multimask=multimask,
            hq_token_only=hq_token_only,
        )
        return prediction

    @torch.inference_mode()
    def to_image(self, logits: Tensor, embedding: ImageEmbedding) -> Tensor:
        """Remove the padding of logits [B,1,256,256] and resize them to the image, [B,1,H,W]."""
        height, width = embedding.input_size
        square = F.interpolate(logits.float(), (IMAGE_SIZE, IMAGE_SIZE), mode="bilinear")
        return F.interpolate(square[..., :height, :width], embedding.image_size, mode="bilinear")


def normalise(pixels: Tensor) -> Tensor:
    """Normalise RGB [...,3,H,W] from 0 to 255 by the mean and standard deviation."""
    mean, std = (pixels.new_tensor(c).view(3, 1, 1) for c in (_PIXEL_MEAN, _PIXEL_STD))
    return (pixels - mean) / std


def resize_longest_side(image: Tensor) -> Tensor:
    """Resize an image [H,W,3] uint8 so that its longest side has 1024 pixels, bilinear.

    The published models were trained with Pillow's filter. The shortest side keeps at least one
    pixel.
    """
    width, height = _resized_size(image)[::-1]
    resized = Image.fromarray(image.numpy()).resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized))


def resize_on_device(image: Tensor) -> Tensor:
    """`resize_longest_side` on the image's device, without Pillow.

    Grey levels differ by at most one, because Pillow rounds between the two directions.
    """
    pixels = image.permute(2, 0, 1).unsqueeze(0).float()
    size = _resized_size(image)
    with torch.autocast(image.device.type, enabled=False):
        resized = F.interpolate(pixels, size, mode="bilinear", antialias=True)
    return resized.round()[0].permute(1, 2, 0).to(torch.uint8)


def _resized_size(image: Tensor) -> list[int]:
    """Height and width of an image [H,W,3] after resizing its longest side to 1024 pixels."""
    scale = IMAGE_SIZE / max(image.shape[:2])
    return [max(1, int(side * scale + 0.5)) for side in image.shape[:2]]


def _check_prompts(
    image_size: tuple[int, int],
    points: Tensor | None,
    labels: Tensor | None,
    boxes: Tensor | None,
    masks: Tensor | None,
) -> None:
    """Raise ValueError unless the prompts are as `HQSam.predict` describes them."""
    given = [prompt for prompt in (points, boxes, masks) if prompt is not None]
    if not given:
        raise ValueError("HQ-SAM needs a prompt: give points with labels, boxes or masks")
    if len({len(prompt) for prompt in given}) > 1:
        raise ValueError(
            f"points, boxes and masks are for {[len(prompt) for prompt in given]} prompts: "
            "give the same number of each"
        )
    if (points is None) != (labels is None) or (
        points is not None and labels is not None and points.shape != (*labels.shape, 2)
    ):
        raise ValueError("points [B,P,2] and labels [B,P] go together: give one label per point")
    if masks is not None and masks.shape[1:] != (1, IMAGE_SIZE // 4, IMAGE_SIZE // 4):
        raise ValueError(f"mask prompts are logits [B,1,256,256], not {list(masks.shape)}")
    if boxes is None:
        return
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"boxes are [B,4] left, top, right, bottom, not {list(boxes.shape)}")
    left, top, right, bottom = boxes.unbind(1)
    height, width = image_size
    inside = (left <= right) & (top <= bottom) & (right >= 0) & (bottom >= 0)
    inside &= (left <= width - 1) & (top <= height - 1)
    if not inside.all():
        wrong = boxes[~inside][0].tolist()
        raise ValueError(
            f"box {wrong} is not in the image of {width} x {height} pixels: give left, top, "
            "right, bottom in pixels, left <= right and top <= bottom"
        )
