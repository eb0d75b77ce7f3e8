"""SAM's attention as a kernel against the plain one: on a GPU, or in Triton's interpreter."""

import copy

import pytest
import torch
from segment_anything.modeling.image_encoder import window_partition, window_unpartition
from torch import nn

from hqsam import encoder
from hqsam.decoder import HQMaskDecoder, HQPromptEncoder
from hqsam.encoder import ViTEncoder, position_attention
from hqsam.sam import HQSam

pytest.importorskip("triton")
from hqsam import kernels

pytestmark = pytest.mark.gpu
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# the interpreter multiplies the bits of bfloat16 matrices as if they were numbers
HALF = torch.bfloat16 if torch.cuda.is_available() else torch.float16
TOLERANCE = {torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 4e-2}


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def inputs_of(size, window, depth, dtype):
    shapes = [(2, *size, 3, 2, depth), *((2 * side - 1, depth) for side in window), (3, 2, depth)]
    return [0.5 * torch.randn(shape).to(DEVICE, dtype) for shape in shapes]


@pytest.mark.parametrize(
    ("size", "window", "depth"),
    [
        ((14, 14), (14, 14), 20),
        ((3, 64), (3, 64), 16),
        ((1, 1), (1, 1), 4),
        ((2, 70), (2, 70), 8),
        ((9, 10), (5, 5), 8),
        ((16, 8), (14, 14), 8),
        ((3, 5), (7, 2), 4),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, HALF])
def test_attention_with_relative_positions(size, window, depth, dtype):
    """Whole maps, windows, windows that reach beyond the map, and sizes that fill no block."""
    inputs = inputs_of(size, window, depth, dtype)
    expected = position_attention(*(part.float() for part in inputs))
    actual = kernels.position_attention(*inputs)
    assert actual.dtype == dtype
    close = {"atol": TOLERANCE[dtype], "rtol": TOLERANCE[dtype]}
    torch.testing.assert_close(actual.float(), expected, **close)


def test_windows_of_a_map_are_those_of_sam():
    """Which pads before the product with the weights, so that the padding is its bias."""
    x, layer = torch.randn(2, 9, 10, 16), nn.Linear(16, 48)
    rows, columns = torch.randn(9, 8), torch.randn(9, 8)
    with torch.inference_mode():
        beyond = layer.bias.view(3, 2, 8)
        windows, padded = window_partition(x, 5)
        cut = layer(windows).unflatten(3, (3, 2, 8))
        joined = position_attention(cut, rows, columns, beyond).flatten(3)
        expected = window_unpartition(joined, 5, padded, (9, 10))
        qkv = layer(x).unflatten(3, (3, 2, 8))
        actual = position_attention(qkv, rows, columns, beyond).flatten(3)
    torch.testing.assert_close(actual, expected)


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
