"""HQ-SAM in training: the tensors that it adds to SAM learn, and SAM itself is frozen."""

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import torch
from segment_anything.modeling.mask_decoder import MaskDecoder  # type: ignore[import-untyped]
from torch import Tensor, nn

from hqsam import HQSam, build_hqsam
from hqsam.decoder import HQMaskDecoder
from hqsam.encoder import EncodedImage
from hqsam.sam import normalise
from hqtrack import weights
from hqtrack.errors import InputError
from training.hqsam.views import Kind, Prompt

ADDED = (
    "hf_token",
    "hf_mlp",
    "compress_vit_feat",
    "embedding_encoder",
    "embedding_maskfeature",
)
"""The parts of the mask decoder that HQ-SAM adds to SAM: 25 tensors."""


def load_start(variant: str, path: Path) -> HQSam:
    """The initial model, from a checkpoint of SAM (vit_tiny: MobileSAM) or of HQ-SAM.

    With SAM, torch initialises the added tensors from its global random state. Raises InputError if
    the file belongs to another model or is not a checkpoint, and MissingFileError if there is none.
    """
    tensors = {key.removeprefix("module."): value for key, value in weights.load(path).items()}
    if not any(key.startswith(_PREFIXES) for key in tensors):
        tensors |= _fresh(variant)
    try:
        return build_hqsam(variant, tensors)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


_PREFIXES = tuple(f"mask_decoder.{part}." for part in ADDED)


def _fresh(variant: str) -> dict[str, Tensor]:
    """New added tensors of a variant, by their official keys."""
    with torch.device("meta"):
        (first, *_) = build_hqsam(variant).mask_decoder.compress_vit_feat.children()
    decoder = HQMaskDecoder(cast(nn.ConvTranspose2d, first).in_channels)
    return added_tensors(decoder.state_dict(prefix="mask_decoder."))


def added_tensors(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of an HQ-SAM that SAM does not have, by their official keys."""
    return {key: value for key, value in state_dict.items() if key.startswith(_PREFIXES)}


class AddedParts(nn.Module):
    """A module of the 25 added tensors, with a reference to the frozen SAM.

    The tensors of this module are optimised, averaged and saved in checkpoints. Moving the module
    also moves SAM. `sam` is a complete HQ-SAM with the current tensors.
    """

    sam: HQSam

    def __init__(self, sam: HQSam) -> None:
        super().__init__()
        # bypass nn.Module, which would make SAM a submodule
        object.__setattr__(self, "sam", sam.eval().requires_grad_(False))
        for part in ADDED:
            self.add_module(part, getattr(sam.mask_decoder, part).requires_grad_(True))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy with its own added tensors; it shares SAM's tensors."""
        learning = {id(parameter) for parameter in self.parameters()}
        tensors = [*self.sam.parameters(), *self.sam.buffers()]
        memo.update({id(tensor): tensor for tensor in tensors if id(tensor) not in learning})
        return type(self)(copy.deepcopy(self.sam, memo))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self.sam._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> EncodedImage:
        """Features of B images [B,3,S,S] in 0..255, which do not depend on the added tensors."""
        encoded: EncodedImage = self.sam.image_encoder(normalise(pixels))
        return encoded

    def forward(self, encoded: EncodedImage, prompts: Sequence[Prompt]) -> Tensor:
        """Logits [B,1,S/4,S/4] of the HQ token for B images with a prompt each.

        Computed in float32 even under autocast, as in the tracker: in bfloat16 the positions of
        prompts would be wrong by about a pixel.
        """
        with torch.autocast(encoded.features.device.type, enabled=False):
            return self._decode(EncodedImage(*(part.float() for part in encoded)), prompts)

    def _decode(self, encoded: EncodedImage, prompts: Sequence[Prompt]) -> Tensor:
        decoder = self.sam.mask_decoder
        hq_features = decoder.hq_features(encoded)
        positions = self.sam.prompt_encoder.get_dense_pe()
        order: list[int] = []
        logits: list[Tensor] = []
        for kind in Kind:
            chosen = [n for n, prompt in enumerate(prompts) if prompt.kind is kind]
            if not chosen:
                continue
            values = torch.stack([prompts[n].value for n in chosen])
            masks = decoder.predict_masks(
                encoded.features[chosen],
                hq_features[chosen],
                positions,
                *encode_prompts(self.sam, kind, values),
            )
            order += chosen
            logits.append(masks.hq)
        return torch.cat(logits)[torch.tensor(order).argsort()]


@torch.no_grad()
def encode_prompts(sam: HQSam, kind: Kind, values: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens [B,P,256] and dense embeddings [B,256,S/16,S/16] of B prompts of one kind."""
    clicks = (values, torch.ones_like(values[..., 0])) if kind is Kind.POINTS else None
    sparse, dense = sam.prompt_encoder(
        points=clicks,
        boxes=values if kind is Kind.BOX else None,
        masks=values if kind is Kind.MASK else None,
    )
    return sparse, dense


class Outputs(NamedTuple):
    """Logits [B,1,h,w] of B prompts in single-mask mode.

    sam: of the original SAM, without the HQ token. hq: of the HQ token alone. both: the sum of the
    HQ token's and the SAM mask, which HQ-SAM reports.
    """

    sam: Tensor
    hq: Tensor
    both: Tensor


@torch.no_grad()
def compare(
    sam: HQSam, features: Tensor, hq_features: Tensor, sparse: Tensor, dense: Tensor
) -> Outputs:
    """The predictions of SAM and HQ-SAM; the arguments are those of `HQMaskDecoder.forward`."""
    positions = sam.prompt_encoder.get_dense_pe()
    decoder = sam.mask_decoder
    plain, _ = MaskDecoder.predict_masks(decoder, features, positions, sparse, dense)
    masks = decoder.predict_masks(features, hq_features, positions, sparse, dense)
    return Outputs(plain[:, :1], masks.hq, masks.sam[:, :1] + masks.hq)
