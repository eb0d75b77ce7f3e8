"""The prompt encoder and the mask decoder of HQ-SAM (HQ-SAM, High-Quality Output Token)."""

from typing import NamedTuple

import torch
from segment_anything.modeling.mask_decoder import (  # type: ignore[import-untyped]
    MLP,
    MaskDecoder,
)
from segment_anything.modeling.prompt_encoder import (  # type: ignore[import-untyped]
    PositionEmbeddingRandom,
    PromptEncoder,
)
from segment_anything.modeling.transformer import (  # type: ignore[import-untyped]
    TwoWayTransformer,
)
from torch import Tensor, nn

from hqsam.encoder import ChannelNorm, EncodedImage
from hqsam.sizes import RELEASED, Sizes

_MASK_TOKENS = 4


class Prediction(NamedTuple):
    """One mask per prompt; S is the side of the network input, 1024 for the released networks.

    logits: [B,1,S/4,S/4] over the padded network input, positive in the foreground; they can be
        used as a mask prompt.
    scores: [B,1] predicted IoU of the SAM mask, unclamped.
    """

    logits: Tensor
    scores: Tensor


class AllMasks(NamedTuple):
    """All predictions of the decoder for B prompts.

    sam: [B,4,S/4,S/4] logits of SAM's masks; the first is that of single-mask mode.
    hq: [B,1,S/4,S/4] logits of the HQ token, a correction that is added to a SAM mask.
    scores: [B,4] predicted IoU of SAM's masks.
    """

    sam: Tensor
    hq: Tensor
    scores: Tensor


class PositionEmbedding(PositionEmbeddingRandom):  # type: ignore[misc]
    """SAM's random Fourier features, computed in float32 whatever the type of the weights."""

    def _pe_encoding(self, coords: Tensor) -> Tensor:
        frequencies = self.positional_encoding_gaussian_matrix
        angles = 2 * torch.pi * ((2 * coords - 1) @ frequencies.float())
        return torch.cat([angles.sin(), angles.cos()], dim=-1).to(frequencies.dtype)


class HQPromptEncoder(PromptEncoder):  # type: ignore[misc]
    """SAM's prompt encoder."""

    def __init__(self, sizes: Sizes = RELEASED) -> None:
        super().__init__(sizes.dim, (sizes.tokens,) * 2, (sizes.image,) * 2, mask_in_chans=16)
        self.pe_layer = PositionEmbedding(sizes.dim // 2)


class HQMaskDecoder(MaskDecoder):  # type: ignore[misc]
    """SAM's mask decoder with the high-quality output token.

    early_dim: channels of `EncodedImage.early`.
    """

    def __init__(self, early_dim: int, sizes: Sizes = RELEASED) -> None:
        dim, fine = sizes.dim, sizes.fine_dim
        super().__init__(
            transformer_dim=dim,
            transformer=TwoWayTransformer(2, dim, num_heads=8, mlp_dim=sizes.mlp),
            num_multimask_outputs=_MASK_TOKENS - 1,
        )
        self.output_upscaling[1] = ChannelNorm(dim // 4)
        self.hf_token = nn.Embedding(1, dim)
        self.hf_mlp = MLP(dim, dim, fine, 3)
        self.compress_vit_feat = self._early_layers(early_dim, dim, fine)
        self.embedding_encoder = upscale4(dim, dim // 4, fine)
        self.embedding_maskfeature = nn.Sequential(
            nn.Conv2d(fine, 2 * fine, 3, padding=1),
            ChannelNorm(2 * fine),
            nn.GELU(),
            nn.Conv2d(2 * fine, fine, 3, padding=1),
        )

    def _early_layers(self, early_dim: int, dim: int, fine: int) -> nn.Sequential:
        """From the early features to `fine` channels at stride 4."""
        return upscale4(early_dim, dim, fine)

    def hq_features(self, encoded: EncodedImage) -> Tensor:
        """[B,D/8,S/4,S/4]: early and final features fused, the same for all prompts of an image."""
        fine: Tensor = self.compress_vit_feat(encoded.early.permute(0, 3, 1, 2))
        return fine + self.embedding_encoder(encoded.features)

    def skip_features(self, encoded: EncodedImage) -> Tensor | None:
        """[B,D/8,S/4,S/4] for SAM's masks, the same for all prompts; the released use none."""
        return None

    def forward(
        self,
        features: Tensor,
        hq_features: Tensor,
        positions: Tensor,
        sparse: Tensor,
        dense: Tensor,
        *,
        multimask: bool,
        hq_token_only: bool,
        skip: Tensor | None = None,
    ) -> Prediction:
        """Decode one mask for each of B prompts, of one image or of one image each.

        With D channels and T = S/16 tokens each way, 256 and 64 in the released networks, and
        I = 1 or B: features: [I,D,T,T]. hq_features: [I,D/8,4T,4T]. positions: [1,D,T,T].
        sparse: [B,P,D] points and box corners. dense: [B,D,T,T] mask prompts. skip: [I,D/8,4T,4T],
        see `skip_features`.
        multimask: use the best-scored of SAM's three masks for ambiguous prompts, not the mask of
        single-mask mode. hq_token_only: return the HQ token's mask alone, not the sum of both.
        """
        masks = self.predict_masks(features, hq_features, positions, sparse, dense, skip)
        if multimask:
            scores, best = masks.scores[:, 1:].max(dim=1, keepdim=True)
            best = best + 1
        else:
            scores, best = masks.scores[:, :1], torch.zeros_like(masks.scores[:, :1]).long()
        if hq_token_only:
            return Prediction(masks.hq, scores)
        prompt = torch.arange(len(best), device=best.device)[:, None]
        return Prediction(masks.sam[prompt, best] + masks.hq, scores)

    def predict_masks(
        self,
        features: Tensor,
        hq_features: Tensor,
        positions: Tensor,
        sparse: Tensor,
        dense: Tensor,
        skip: Tensor | None = None,
    ) -> AllMasks:
        """All masks of B prompts; the arguments are those of `forward`."""
        count = len(sparse)
        output = torch.cat([self.iou_token.weight, self.mask_tokens.weight, self.hf_token.weight])
        tokens = torch.cat([output.expand(count, -1, -1), sparse], dim=1)
        source = self.mix(features + dense)
        tokens, source = self.transformer(source, positions.expand(count, -1, -1, -1), tokens)
        source = source.transpose(1, 2).unflatten(2, features.shape[-2:])
        upscaled = self.upscale(source, skip)

        sam_tokens = tokens[:, 1 : 1 + _MASK_TOKENS].unbind(1)
        sam = torch.stack(
            [mlp(t) for mlp, t in zip(self.output_hypernetworks_mlps, sam_tokens, strict=True)], 1
        )
        hq = self.hf_mlp(tokens[:, 1 + _MASK_TOKENS, None])
        return AllMasks(
            _dot(sam, upscaled),
            _dot(hq, self.embedding_maskfeature(upscaled)) + _dot(hq, hq_features),
            self.iou_prediction_head(tokens[:, 0]),
        )

    def mix(self, source: Tensor) -> Tensor:
        """What happens to features and dense prompts [B,D,T,T] before the transformer: nothing."""
        return source

    def upscale(self, source: Tensor, skip: Tensor | None) -> Tensor:
        """[B,D,T,T] -> [B,D/8,4T,4T], the pixels of SAM's masks."""
        upscaled: Tensor = self.output_upscaling(source)
        return upscaled


def upscale4(dim: int, hidden: int, fine: int) -> nn.Sequential:
    """Two transposed convolutions from `dim` channels to `fine`, four times the size."""
    return nn.Sequential(
        nn.ConvTranspose2d(dim, hidden, 2, stride=2),
        ChannelNorm(hidden),
        nn.GELU(),
        nn.ConvTranspose2d(hidden, fine, 2, stride=2),
    )


def _dot(tokens: Tensor, pixels: Tensor) -> Tensor:
    """Logits [B,M,H,W] of M tokens [B,M,C] on pixels [B,C,H,W] or [1,C,H,W]."""
    return torch.einsum("bmc,bchw->bmhw", tokens, pixels.expand(len(tokens), -1, -1, -1))
