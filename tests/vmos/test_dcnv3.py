"""Sampling with hand-made offsets, and the layer around it."""

import pytest
import torch
from torch.nn import functional as F

from vmos import dcnv3
from vmos.dcnv3 import POINTS, DCNv3, deformable_sample

HEIGHT, WIDTH = 5, 7


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def ask(offset=(0.0, 0.0), point=None, groups=1, size=(HEIGHT, WIDTH)):
    """The same offset (x, y) for all points, and all weight on one point or spread evenly."""
    shape = (1, *size, groups, POINTS)
    weight = torch.full(shape, 1 / POINTS)
    if point is not None:
        weight = torch.zeros(shape)
        weight[..., point] = 1
    return torch.tensor(offset).expand(*shape, 2), weight


def shifted(value, dx, dy):
    """Pixel (x + dx, y + dy) of [B,h,w,C] at (x, y); 0 outside."""
    padded = F.pad(value, (0, 0, 9, 9, 9, 9))
    return padded[:, 9 + dy : 9 + dy + value.shape[1], 9 + dx : 9 + dx + value.shape[2]]


def test_no_offset_and_even_weights_are_a_box_filter_with_zeros_around():
    value = torch.randn(1, HEIGHT, WIDTH, 6)
    expected = F.avg_pool2d(value.permute(0, 3, 1, 2), 3, 1, 1).permute(0, 2, 3, 1)
    actual = deformable_sample(value, *ask(groups=2))
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("point", range(POINTS))
def test_points_run_down_the_columns(point):
    value = torch.randn(1, HEIGHT, WIDTH, 2)
    expected = shifted(value, point // 3 - 1, point % 3 - 1)
    torch.testing.assert_close(deformable_sample(value, *ask(point=point)), expected)


@pytest.mark.parametrize(("dx", "dy"), [(2, 0), (0, 2), (-3, 1), (1, -2)])
def test_offsets_are_x_then_y(dx, dy):
    value = torch.randn(1, HEIGHT, WIDTH, 2)
    actual = deformable_sample(value, *ask((float(dx), float(dy)), point=4))
    torch.testing.assert_close(actual, shifted(value, dx, dy), atol=1e-5, rtol=0)


def test_between_pixels_each_corner_outside_counts_as_zero():
    value = torch.ones(1, HEIGHT, WIDTH, 1)
    half = deformable_sample(value, *ask((0.5, 0.5), point=4))[0, :, :, 0]
    assert half[0, 0] == pytest.approx(1)
    assert half[0, -1] == pytest.approx(0.5)
    assert half[-1, -1] == pytest.approx(0.25)


def test_far_outside_is_zero():
    value = torch.randn(1, HEIGHT, WIDTH, 2)
    for offset in ((1e4, 0.0), (0.0, -1e4), (-20.0, 20.0)):
        assert not deformable_sample(value, *ask(offset)).any()


def test_each_group_has_its_own_offsets_and_weights():
    value = torch.randn(2, HEIGHT, WIDTH, 4)
    offset, weight = (part.clone().expand(2, *part.shape[1:]).clone() for part in ask(groups=2))
    weight[1, ..., 0, :] *= 2
    offset[1, ..., 1, :, 0] = 1.0
    actual = deformable_sample(value, offset, weight)
    box = F.avg_pool2d(value.permute(0, 3, 1, 2), 3, 1, 1).permute(0, 2, 3, 1)
    torch.testing.assert_close(actual[0], box[0])
    torch.testing.assert_close(actual[1, ..., :2], 2 * box[1, ..., :2])
    columns = F.pad(value, (0, 0, 2, 2, 1, 1)).permute(0, 3, 1, 2)
    right = F.avg_pool2d(columns, 3, 1).permute(0, 2, 3, 1)[:, :, 2:]
    torch.testing.assert_close(actual[1, ..., 2:], right[1, ..., 2:])


def wild(batch=2, groups=3, channels=4):
    """Values, offsets (also far outside) and weights that want gradients."""
    value = torch.randn(batch, HEIGHT, WIDTH, groups * channels)
    shape = (batch, HEIGHT, WIDTH, groups, POINTS)
    offset = 3 * torch.randn(*shape, 2)
    return [part.requires_grad_() for part in (value, offset, torch.rand(shape))]


def test_both_ways_of_sampling_agree():
    asked = wild()
    expected = dcnv3._sample_grid(*asked)
    torch.testing.assert_close(dcnv3._sample_rows(*asked), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("at_a_time", [1, WIDTH * 3 * POINTS * 2])
@torch.inference_mode()
def test_lines_are_sampled_one_after_the_other_with_the_same_bits(monkeypatch, at_a_time):
    asked = [part.detach() for part in wild()]
    expected = dcnv3._sample_rows(*asked)
    monkeypatch.setattr(dcnv3, "AT_A_TIME", at_a_time)
    assert torch.equal(dcnv3._sample_rows(*asked), expected)


@pytest.mark.parametrize("wanted", [0, 1, 2], ids=["value", "offset", "weight"])
def test_both_ways_of_sampling_have_the_same_gradients(wanted):
    asked = wild()
    cotangent = torch.randn(asked[0].shape)
    expected, actual = (
        torch.autograd.grad(way(*asked), asked[wanted], cotangent)[0]
        for way in (dcnv3._sample_grid, dcnv3._sample_rows)
    )
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)


def test_positions_are_exact_under_autocast():
    """bfloat16 has 8 bits: it cannot tell the columns of a wide map apart, let alone halves."""
    size = (2, 400)
    value = torch.arange(400.0).expand(1, 2, 400)[..., None].clone()
    offset, weight = ask((0.5, 0.0), point=4, size=size)
    with torch.autocast("cpu", torch.bfloat16):
        actual = deformable_sample(value, offset.bfloat16(), weight)
    expected = value[:, :, :-1] + 0.5
    torch.testing.assert_close(actual[:, :, :-1].float(), expected, atol=1e-3, rtol=0)


def test_a_fresh_layer_without_offsets_and_weights_is_an_even_mean():
    layer = DCNv3(8, 2)
    for linear in (layer.offset, layer.mask):
        torch.nn.init.zeros_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    x = torch.randn(1, HEIGHT, WIDTH, 8)
    box = F.avg_pool2d(layer.input_proj(x).permute(0, 3, 1, 2), 3, 1, 1).permute(0, 2, 3, 1)
    torch.testing.assert_close(layer(x), layer.output_proj(box))


def test_the_layer_weighs_with_a_softmax_per_group():
    """A mask that points at one point per group, whatever the input."""
    layer = DCNv3(8, 2)
    torch.nn.init.zeros_(layer.offset.weight)
    torch.nn.init.zeros_(layer.offset.bias)
    torch.nn.init.zeros_(layer.mask.weight)
    with torch.no_grad():
        layer.mask.bias.zero_()
        layer.mask.bias[1] = 100.0
        layer.mask.bias[POINTS + 3] = 100.0
    x = torch.randn(1, HEIGHT, WIDTH, 8)
    value = layer.input_proj(x)
    picked = torch.cat([shifted(value[..., :4], -1, 0), shifted(value[..., 4:], 0, -1)], dim=3)
    torch.testing.assert_close(layer(x), layer.output_proj(picked))


@pytest.mark.parametrize("scale", [1, 1000])
def test_shares_are_a_softmax_over_the_points(scale):
    logits = scale * torch.randn(2, 3, 4, 5, POINTS)
    expected = logits.softmax(dim=-1)
    actual = dcnv3.shares(logits)
    torch.testing.assert_close(actual, expected)
    assert actual.is_contiguous()
