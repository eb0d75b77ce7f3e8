"""Layouts, labels, and both attentions against the formulas with full matrices."""

import math

import pytest
import torch
from torch.nn import functional as F

from vmos import ops


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(params=[0, 2**20], ids=["tiled", "at once"])
def path(request, monkeypatch):
    """Local attention has a path for large and one for small frames."""
    monkeypatch.setattr(ops, "SMALL", request.param)


def dense_local(query, key, value, bias, size, radius):
    """Every displacement in turn: its score, its value; what leaves the map has score -1e8."""
    height, width = size
    batch, tokens, channels = query.shape
    scores = torch.full((batch, tokens, (2 * radius + 1) ** 2), -1e8)
    values = torch.zeros(batch, tokens, (2 * radius + 1) ** 2, value.shape[2])
    for y in range(height):
        for x in range(width):
            for dy in range(-radius, radius + 1):
                for dx in range(-radius, radius + 1):
                    if not (0 <= y + dy < height and 0 <= x + dx < width):
                        continue
                    p, j = y * width + x, (dy + radius) * (2 * radius + 1) + dx + radius
                    q = (y + dy) * width + x + dx
                    dot = (query[:, p] * key[:, q]).sum(dim=1) / channels**0.5
                    scores[:, p, j] = dot + bias[:, p, j]
                    values[:, p, j] = value[:, q]
    return (scores.softmax(dim=2)[..., None] * values).sum(dim=2)


def test_a_grid_of_tokens_is_in_the_layout_that_convolutions_take_without_a_copy():
    grid = ops.to_grid(torch.randn(1, 6, 4), (2, 3))
    assert grid.is_contiguous(memory_format=torch.channels_last)
    assert ops.to_tokens(grid).is_contiguous()


def test_tokens_run_row_by_row_and_back():
    grid = torch.arange(12).reshape(1, 2, 2, 3)
    tokens = ops.to_tokens(grid)
    assert tokens[0].tolist() == [[0, 6], [1, 7], [2, 8], [3, 9], [4, 10], [5, 11]]
    assert torch.equal(ops.to_grid(tokens, (2, 3)), grid)


def test_resize_keeps_the_corners():
    grid = torch.tensor([[[[0.0, 4.0], [8.0, 12.0]]]])
    assert ops.resize(grid, (3, 3))[0, 0].tolist() == [[0, 2, 4], [4, 6, 8], [8, 10, 12]]
    assert ops.resize(grid, (2, 2)) is grid


def test_one_hot_has_a_background_channel_and_none_for_labels_above():
    hot = ops.one_hot(torch.tensor([[[0, 1], [2, 3]], [[2, 2], [255, 0]]]), 2)
    assert hot.dtype == torch.float32
    assert hot[0].tolist() == [[[1, 0], [0, 0]], [[0, 1], [0, 0]], [[0, 0], [1, 0]]]
    assert hot[1].tolist() == [[[0, 0], [0, 1]], [[0, 0], [0, 0]], [[1, 1], [0, 0]]]


@pytest.mark.parametrize("at_a_time", [256, 7, 1])
@pytest.mark.parametrize("gradients", [True, False])
def test_global_attention_is_scaled_dot_product_attention(monkeypatch, at_a_time, gradients):
    """Also a few queries and keys at a time, with a rest."""
    monkeypatch.setattr(ops, "QUERIES_AT_A_TIME", at_a_time)
    monkeypatch.setattr(ops, "KEYS_AT_A_TIME", at_a_time)
    query, key, value = torch.randn(2, 31, 4), torch.randn(2, 23, 4), torch.randn(2, 23, 9)
    expected = F.scaled_dot_product_attention(query, key, value)
    with torch.set_grad_enabled(gradients):
        actual = ops.global_attention(query, key, value)
    torch.testing.assert_close(actual, expected)


@torch.inference_mode()
def test_attention_to_a_view_has_the_bits_of_attention_to_a_copy():
    """Memory of one frame is a view of the layer's output, that of several frames is a copy."""
    query, wide, value = torch.randn(1, 300, 32), torch.randn(1, 300, 80), torch.randn(1, 300, 64)
    key = wide[..., :32]
    assert torch.equal(
        ops.global_attention(query, key, value),
        ops.global_attention(query, key.contiguous(), value),
    )


def test_attention_in_parts_stands_scores_that_overflow(monkeypatch):
    """Exponentials of such scores are infinite, and the largest come last."""
    monkeypatch.setattr(ops, "KEYS_AT_A_TIME", 5)
    query, value = torch.full((1, 2, 4), 40.0), torch.randn(1, 23, 3)
    key = torch.arange(23.0)[None, :, None].expand(1, 23, 4)
    with torch.inference_mode():
        actual = ops.global_attention(query, key, value)
    torch.testing.assert_close(actual, value[:, -1:].expand(1, 2, 3))


@pytest.mark.parametrize("share", [0.99, 1.01], ids=["moderate", "larger"])
@pytest.mark.parametrize("sign", [1, -1])
@torch.inference_mode()
def test_attention_in_parts_has_all_digits_at_the_border_of_moderate_scores(
    monkeypatch, share, sign
):
    """Scores that are all very large or all very small differ as those around zero do."""
    monkeypatch.setattr(ops, "KEYS_AT_A_TIME", 5)
    query, value = torch.ones(1, 1, 1), torch.randn(1, 23, 3)
    key = sign * torch.linspace(0.9, 1, 23)[None, :, None] * (share * ops.MODERATE * math.log(2))
    expected = F.scaled_dot_product_attention(*(each.double() for each in (query, key, value)))
    actual = ops.global_attention(query, key, value)
    torch.testing.assert_close(actual.double(), expected, atol=1e-5, rtol=1e-4)


def test_attention_in_parts_takes_half_precision(monkeypatch):
    monkeypatch.setattr(ops, "KEYS_AT_A_TIME", 5)
    query, key, value = torch.randn(3, 2, 23, 4, dtype=torch.bfloat16).unbind()
    expected = F.scaled_dot_product_attention(query.float(), key.float(), value.float())
    with torch.inference_mode():
        actual = ops.global_attention(query, key, value)
    assert actual.dtype == torch.bfloat16
    torch.testing.assert_close(actual.float(), expected, atol=2e-2, rtol=2e-2)


def test_global_attention_never_holds_more_scores_than_allowed(monkeypatch):
    monkeypatch.setattr(ops, "QUERIES_AT_A_TIME", 7)
    softmax, sizes = torch.softmax, []

    def watched(scores, *args, **kwargs):
        sizes.append(scores.numel())
        return softmax(scores, *args, **kwargs)

    monkeypatch.setattr(torch, "softmax", watched)
    ops.global_attention(torch.randn(2, 31, 4), torch.randn(2, 23, 4), torch.randn(2, 23, 9))
    assert sizes == [322, 322, 322, 322, 2 * 23 * 3]


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 8), (9, 7), (17, 8), (5, 20)])
@pytest.mark.parametrize("radius", [1, 3])
@pytest.mark.usefixtures("path")
def test_local_attention_is_attention_to_a_window(size, radius):
    tokens = size[0] * size[1]
    query, key = torch.randn(2, 2, tokens, 4).unbind()
    value, bias = torch.randn(2, tokens, 5), torch.randn(2, tokens, (2 * radius + 1) ** 2)
    expected = dense_local(query, key, value, bias, size, radius)
    actual = ops.local_attention(query, key, value, bias, size, radius)
    torch.testing.assert_close(actual, expected)


@pytest.mark.usefixtures("path")
def test_local_attention_with_the_released_radius():
    query, key = torch.randn(2, 1, 6 * 11, 2).unbind()
    value, bias = torch.randn(1, 66, 3), torch.randn(1, 66, 225)
    expected = dense_local(query, key, value, bias, (6, 11), 7)
    actual = ops.local_attention(query, key, value, bias, (6, 11), 7)
    torch.testing.assert_close(actual, expected)


@pytest.mark.usefixtures("path")
def test_gradients_of_local_attention_are_those_of_the_formula():
    size, radius = (5, 9), 2
    inputs = [torch.randn(1, 45, channels) for channels in (4, 4, 3, 25)]
    weights = torch.randn(1, 45, 3)
    gradients = []
    for attention in (ops.local_attention, dense_local):
        leaves = [tensor.clone().requires_grad_() for tensor in inputs]
        (attention(*leaves, size, radius) * weights).sum().backward()
        gradients.append([leaf.grad for leaf in leaves])
    for ours, dense in zip(*gradients, strict=True):
        assert torch.isfinite(ours).all()
        torch.testing.assert_close(ours, dense)


@pytest.mark.usefixtures("path")
def test_gradients_stay_finite_with_scores_that_saturate_the_softmax():
    leaves = [(100 * torch.randn(1, 9 * 10, channels)).requires_grad_() for channels in (4, 4, 3)]
    bias = (100 * torch.randn(1, 90, 49)).requires_grad_()
    ops.local_attention(*leaves, bias, (9, 10), 3).square().sum().backward()
    assert all(torch.isfinite(leaf.grad).all() for leaf in [*leaves, bias])


@pytest.mark.parametrize("gradients", [True, False])
def test_large_frames_never_need_a_matrix_over_the_whole_frame(monkeypatch, gradients):
    """No tensor of scores grows faster than a row of tiles; a CPU infers one tile at a time."""
    softmax, sizes = torch.softmax, []

    def watched(scores, *args, **kwargs):
        sizes.append(scores.numel())
        return softmax(scores, *args, **kwargs)

    monkeypatch.setattr(torch, "softmax", watched)
    height, width = 2 * ops.TILE, ops.SMALL // ops.TILE
    tokens = height * width
    query, key, value = torch.randn(3, 1, tokens, 2).unbind()
    with torch.set_grad_enabled(gradients):
        ops.local_attention(query, key, value, torch.randn(1, tokens, 9), (height, width), 1)
    if gradients:
        assert sizes == [width * ops.TILE * (ops.TILE + 2) ** 2] * 2
    else:
        assert sizes == [ops.TILE**2 * (ops.TILE + 2) ** 2] * (tokens // ops.TILE**2)
