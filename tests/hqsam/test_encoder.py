import pytest
import torch
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.image_encoder import Attention
from torch import nn

from hqsam import encoder
from hqsam.encoder import ChannelNorm, FusedAttention, TokenNorm, ViTEncoder
from hqsam.tiny_vit import WindowAttention


@pytest.fixture
def attention() -> FusedAttention:
    torch.manual_seed(0)
    attention = FusedAttention(24, 3, use_rel_pos=True, input_size=(5, 7))
    for table in (attention.rel_pos_h, attention.rel_pos_w):
        nn.init.normal_(table)
    return attention


@pytest.mark.parametrize("heads_at_once", [1, 2, 100])
def test_fused_attention_equals_sams(
    attention: FusedAttention, heads_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "_MASK_ELEMENTS", heads_at_once * 35**2)
    plain = Attention(24, 3, use_rel_pos=True, input_size=(5, 7))
    plain.load_state_dict(attention.state_dict())
    x = torch.randn(2, 5, 7, 24)
    torch.testing.assert_close(attention(x), plain(x))


def test_channel_norm_equals_sams() -> None:
    torch.manual_seed(0)
    fast, plain = ChannelNorm(6), LayerNorm2d(6)
    nn.init.normal_(fast.weight)
    nn.init.normal_(fast.bias)
    plain.load_state_dict(fast.state_dict())
    x = torch.randn(2, 6, 3, 4)
    torch.testing.assert_close(fast(x), plain(x))


def test_early_features_follow_the_first_global_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "IMAGE_SIZE", 64)
    torch.manual_seed(0)
    model = ViTEncoder(16, 3, 2, (1, 2))
    outputs: list[torch.Tensor] = []
    for block in model.blocks:
        block.register_forward_hook(lambda m, i, output: outputs.append(output))
    features, early = model(torch.randn(1, 3, 64, 64))
    assert early is outputs[1]
    assert early.shape == (1, 4, 4, 16)
    assert features.shape == (1, 256, 4, 4)


@torch.inference_mode()
def test_tokens_keep_16_bits_all_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the absolute positions nor norms lift them to float32, which would double traffic."""
    monkeypatch.setattr(encoder, "IMAGE_SIZE", 64)
    torch.manual_seed(0)
    model = ViTEncoder(16, 3, 2, (1, 2)).eval()
    nn.init.normal_(model.pos_embed)
    image = torch.randn(1, 3, 64, 64)
    expected = model(image)
    seen: list[torch.dtype] = []
    for module in model.modules():
        if isinstance(module, TokenNorm):
            module.register_forward_hook(lambda m, i, out: seen.extend((i[0].dtype, out.dtype)))
    with torch.autocast("cpu", torch.bfloat16):
        actual = model(image)
    assert set(seen) == {torch.bfloat16}
    assert len(seen) == 12
    assert actual.early.dtype == torch.bfloat16
    for ours, theirs in zip(actual, expected, strict=True):
        assert (ours.float() - theirs).norm() < 0.03 * theirs.norm()


def test_a_norm_of_tokens_is_torchs_and_adds_up_in_float32() -> None:
    torch.manual_seed(0)
    norm, plain = TokenNorm(300, eps=1e-6), nn.LayerNorm(300, eps=1e-6)
    nn.init.normal_(norm.weight)
    plain.load_state_dict(norm.state_dict())
    x = 100 + torch.randn(4, 300)
    assert torch.equal(norm(x), plain(x))
    rounded = x.bfloat16()
    expected = plain(rounded.float())
    torch.testing.assert_close(norm(rounded).float(), expected, atol=0.05, rtol=0.02)


def test_window_attention_never_keeps_a_stale_bias() -> None:
    torch.manual_seed(0)
    attention = WindowAttention(8, 2, 3)
    attention.eval()
    x = torch.randn(1, 9, 8)
    before = attention(x)
    weights = attention.state_dict()
    weights["attention_biases"] = torch.randn(2, 9)
    attention.load_state_dict(weights)
    loaded = attention(x)
    assert (loaded - before).abs().max() > 1e-3
    attention.train()
    torch.testing.assert_close(attention(x), loaded)


def test_window_bias_depends_on_distance_only() -> None:
    attention = WindowAttention(8, 1, 3)
    with torch.no_grad():
        attention.attention_biases.copy_(torch.arange(9.0)[None])
    bias = attention.get_attention_biases(torch.device("cpu"))[0]
    corner, centre, right = 0, 4, 5
    assert bias[corner, centre] == bias[centre, corner] == 4  # |dy| = |dx| = 1
    assert bias[centre, right] == bias[right, centre] == 1
    assert (bias.diagonal() == 0).all()
