"""SAM's attention as a kernel against the plain one: on a GPU, or in Triton's interpreter."""

import copy

import pytest
import torch
from torch import nn

from hqsam import encoder
from hqsam.decoder import HQMaskDecoder, HQPromptEncoder
from hqsam.encoder import ViTEncoder, position_attention
from hqsam.sam import HQSam

pytest.importorskip("triton")
from hqsam import kernels

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# the interpreter multiplies the bits of bfloat16 matrices as if they were numbers
HALF = torch.bfloat16 if torch.cuda.is_available() else torch.float16
TOLERANCE = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 4e-2}


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize(
    ("height", "width", "depth"), [(14, 14, 20), (3, 64, 16), (5, 7, 8), (1, 1, 4), (2, 70, 8)]
)
@pytest.mark.parametrize("dtype", [torch.float32, HALF])
def test_attention_with_relative_positions(height, width, depth, dtype):
    """Windows, rows of a whole map, and sizes that fill no block."""
    sizes = [(2, height * width, 3, 2, depth), (2 * height - 1, depth), (2 * width - 1, depth)]
    inputs = [0.5 * torch.randn(size).to(DEVICE, dtype) for size in sizes]
    expected = position_attention(*(part.float() for part in inputs))
    actual = kernels.position_attention(*inputs)
    assert actual.dtype == dtype
    close = {"atol": TOLERANCE[dtype], "rtol": TOLERANCE[dtype]}
    torch.testing.assert_close(actual.float(), expected, **close)


def test_a_fused_encoder_gives_the_same_features(monkeypatch):
    """With windows of which some are padded, and a global block."""
    monkeypatch.setattr(encoder, "IMAGE_SIZE", 256)
    plain = ViTEncoder(16, 2, 2, (1,)).to(DEVICE).eval()
    for block in plain.blocks:
        for table in (block.attn.rel_pos_h, block.attn.rel_pos_w):
            nn.init.normal_(table)
    fused = copy.deepcopy(plain)
    kernels.fuse(HQSam(fused, HQPromptEncoder(), HQMaskDecoder(16)))
    image = torch.randn(1, 3, 256, 256).to(DEVICE)
    with torch.inference_mode():
        expected, actual = plain(image), fused(image)
    for ours, theirs in zip(actual, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert not torch.equal(actual.features, expected.features)
    with pytest.raises(RuntimeError, match="no gradients"):
        fused(image)
