"""A small HQ-SAM: the real decoder behind an encoder that takes milliseconds."""

import torch
from segment_anything.modeling.prompt_encoder import PromptEncoder
from torch import Tensor, nn

from hqsam import HQSam
from hqsam.decoder import HQMaskDecoder, HQPromptEncoder
from hqsam.encoder import EncodedImage

EARLY_DIM = 8


class TinyEncoder(nn.Module):
    """Averages patches of 16 x 16 pixels and mixes their channels; counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 256, 1)
        self.mix_early = nn.Linear(3, EARLY_DIM)
        self.calls = 0

    def forward(self, x: Tensor) -> EncodedImage:
        self.calls += 1
        patches = nn.functional.avg_pool2d(x, 16)
        return EncodedImage(self.mix(patches), self.mix_early(patches.permute(0, 2, 3, 1)))


def tiny_hqsam(seed: int = 0, side: int = 1024) -> HQSam:
    """Random weights with which masks of both signs come out.

    Another `side` of the network input than 1024 pixels is for training: `embed` keeps to 1024.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        sam = HQSam(TinyEncoder(), HQPromptEncoder(), HQMaskDecoder(EARLY_DIM))
        if side != 1024:
            tokens = side // 16
            sam.prompt_encoder = PromptEncoder(256, (tokens, tokens), (side, side), 16)
        return sam.eval()
