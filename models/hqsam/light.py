"""The parts of HQ-SAM light: an EfficientNet-Lite0 as encoder, prompts that are also drawn, skips.

SAM has to learn from a billion masks where a prompt points. Here prompts are tokens as in SAM, and
they are also drawn into the dense embedding, next to the mask prompt. The features at strides 4 and
8 reach SAM's masks and the HQ features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backbones.timm_body import fold, normalisation, plain_body
from hqsam.decoder import HQMaskDecoder, HQPromptEncoder
from hqsam.encoder import ChannelNorm, EncodedImage
from hqsam.sizes import LIGHT, Sizes

BODY = "tf_efficientnet_lite0"
"""What timm calls the image classifier that the encoder starts from."""

STRIDES = (4, 8, 16, 32)

CORNERS = (2, 3)
"""Labels of points that are the first and the last corner of a box."""

_WIDTHS = (24, 40, 112, 320)
_POINT_SIGMA = 8.0
_MASK_STRIDE = 4
_MIXERS = 2


class LightEncoder(nn.Module):
    """EfficientNet-Lite0, and a neck that joins its strides 8, 16 and 32."""

    def __init__(self, sizes: Sizes = LIGHT) -> None:
        super().__init__()
        _, middle, coarse, deep = _WIDTHS
        self.normalise = normalisation(BODY)
        self.body = fold(plain_body(BODY, STRIDES))
        self.middle = nn.Sequential(
            nn.Conv2d(middle, sizes.dim, 3, stride=2, padding=1), ChannelNorm(sizes.dim)
        )
        self.coarse = nn.Sequential(nn.Conv2d(coarse, sizes.dim, 1), ChannelNorm(sizes.dim))
        self.deep = nn.Sequential(nn.Conv2d(deep, sizes.dim, 1), ChannelNorm(sizes.dim))
        self.neck = nn.Sequential(
            nn.GELU(), nn.Conv2d(sizes.dim, sizes.dim, 3, padding=1), ChannelNorm(sizes.dim)
        )

    def forward(self, x: Tensor) -> EncodedImage:
        """Encode normalised images [B,3,S,S]; early features have stride 4 and 64 channels."""
        x = self.normalise(x).contiguous(memory_format=torch.channels_last)
        fine, middle, coarse, deep = self.body(x)
        joined = self.middle(middle) + self.coarse(coarse) + _resized(self.deep(deep), coarse)
        early = torch.cat([fine, _resized(middle, fine)], dim=1)
        return EncodedImage(self.neck(joined), early.permute(0, 2, 3, 1))


class LightPromptEncoder(HQPromptEncoder):
    """SAM's prompt encoder; points and boxes are drawn beside the mask prompt, too."""

    def __init__(self, sizes: Sizes = LIGHT) -> None:
        super().__init__(sizes)
        self.mask_downscaling[0] = nn.Conv2d(4, 4, 2, stride=2)

    def forward(
        self,
        points: tuple[Tensor, Tensor] | None,
        boxes: Tensor | None,
        masks: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """See `PromptEncoder.forward`."""
        if points is None:
            count = len(boxes if boxes is not None else masks)  # type: ignore[arg-type]
            where = self.no_mask_embed.weight.new_zeros(count, 1, 2)
            points = where, where[..., 0] - 1
        coordinates, labels = points
        if boxes is not None:
            corners = labels.new_tensor(CORNERS).expand(len(boxes), 2)
            coordinates = torch.cat([coordinates, boxes.view(-1, 2, 2).to(coordinates)], dim=1)
            labels = torch.cat([labels, corners], dim=1)
        return self.embed(coordinates, labels, masks)

    def embed(
        self, points: Tensor, labels: Tensor, masks: Tensor | None, given: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Tokens [B,P,D] and dense embeddings [B,D,S/16,S/16] of prompts of any kinds.

        points: [B,P,2] (x, y) in pixels of the network input. labels: [B,P], 1, 0 or -1 as in
        `HQSam.predict`, or `CORNERS`. masks: [B,1,S/4,S/4] logits, for all prompts or, with
        `given` [B] bool, for those.
        """
        labels = labels.long()
        table = torch.cat(
            [self.not_a_point_embed.weight, *(e.weight for e in self.point_embeddings)]
        )
        places = self.pe_layer.forward_with_coords(points + 0.5, self.input_image_size)
        sparse = places * (labels >= 0)[..., None] + table[labels + 1]
        side = self.input_image_size[0] // _MASK_STRIDE
        if masks is None:
            masks, given = points.new_zeros(len(points), 1, side, side), labels[:, 0] < -1
        elif given is None:
            given = labels[:, 0] >= -1
        shown = torch.tanh(masks / 4) * given[:, None, None, None]
        dense = self.mask_downscaling(torch.cat([shown, draw_points(points, labels, side)], dim=1))
        absent = self.no_mask_embed.weight[0, :, None, None]
        return sparse, dense + absent * ~given[:, None, None, None]


def draw_points(points: Tensor, labels: Tensor, side: int) -> Tensor:
    """Maps [B,3,side,side] in [0, 1], at stride 4, of boxes and of points of both signs.

    See `LightPromptEncoder.embed` for points [B,P,2] and labels [B,P].
    """
    centres = (torch.arange(side, device=points.device) + 0.5) * _MASK_STRIDE - 0.5
    away = centres - points[..., None]  # [B,P,2,side]
    bells = torch.exp(-(away**2) / (2 * _POINT_SIGMA**2))
    spots = bells[:, :, 1, :, None] * bells[:, :, 0, None, :]
    spots = torch.cat([spots, torch.zeros_like(spots[:, :1])], dim=1)
    kinds = F.pad(labels, (0, 1), value=1)[..., None, None]
    signs = [(spots * (kinds == sign)).amax(dim=1) for sign in (1, 0)]
    within = (away / _MASK_STRIDE + 0.5).clamp(0, 1)
    inside = torch.ones_like(spots[:, 0])
    for label, side_of in zip(CORNERS, (within, 1 - within), strict=True):
        has = (labels == label)[..., None, None]
        product = side_of[:, :, 1, :, None] * side_of[:, :, 0, None, :]
        inside = inside * (product * has).sum(dim=1)
    return torch.stack([inside, *signs], dim=1)


class LightMaskDecoder(HQMaskDecoder):
    """HQ-SAM's decoder, with convolutions after the dense prompts and skips for SAM's masks."""

    def __init__(self, sizes: Sizes = LIGHT) -> None:
        super().__init__(_WIDTHS[0] + _WIDTHS[1], sizes)
        fine = sizes.fine_dim
        self.mixers = nn.Sequential(*(Mixer(sizes.dim) for _ in range(_MIXERS)))
        self.skip = self._early_layers(_WIDTHS[0] + _WIDTHS[1], sizes.dim, fine)
        self.fuse = nn.Sequential(
            ChannelNorm(fine), nn.GELU(), nn.Conv2d(fine, fine, 3, padding=1), nn.GELU()
        )
        self.embedding_maskfeature = nn.Sequential(
            nn.Conv2d(fine, 2 * fine, 1), nn.GELU(), nn.Conv2d(2 * fine, fine, 1)
        )

    def _early_layers(self, early_dim: int, dim: int, fine: int) -> nn.Sequential:
        """The early features have stride 4 already."""
        return nn.Sequential(
            nn.Conv2d(early_dim, 2 * fine, 3, padding=1),
            ChannelNorm(2 * fine),
            nn.GELU(),
            nn.Conv2d(2 * fine, fine, 3, padding=1),
        )

    def skip_features(self, encoded: EncodedImage) -> Tensor:
        """See `HQMaskDecoder.skip_features`."""
        features: Tensor = self.skip(encoded.early.permute(0, 3, 1, 2))
        return features

    def mix(self, source: Tensor) -> Tensor:
        """Let neighbours see each other's prompts; [B,D,T,T] -> [B,D,T,T]."""
        mixed: Tensor = self.mixers(source)
        return mixed

    def upscale(self, source: Tensor, skip: Tensor | None) -> Tensor:
        """[B,D,T,T] -> [B,D/8,4T,4T], the pixels of SAM's masks."""
        upscaled: Tensor = self.output_upscaling[:-1](source)
        if skip is not None:
            upscaled = upscaled + skip
        fused: Tensor = upscaled + self.fuse(upscaled)
        return fused


class Mixer(nn.Module):
    """A block of ConvNeXt (Liu et al., 2022): a wide depthwise convolution and a perceptron."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = ChannelNorm(dim)
        self.widen = nn.Conv2d(dim, 2 * dim, 1)
        self.narrow = nn.Conv2d(2 * dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B,D,h,w] -> [B,D,h,w]."""
        inner = F.gelu(self.widen(self.norm(self.spread(x))))
        mixed: Tensor = x + self.narrow(inner)
        return mixed


def _resized(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)
