"""The whole network, small: shapes, batches, what memory may and may not matter for."""

from dataclasses import replace

import pytest
import torch

from tests.helpers.tiny_vmos import TINY, tiny_vmos
from vmos import InternImageConfig, build_vmos, internimage
from vmos.attention import LayerMemory
from vmos.internimage import Mlp

HEIGHT, WIDTH = 33, 49


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="module")
def model():
    return tiny_vmos()


def frames(count=1):
    return torch.randn(count, 3, HEIGHT, WIDTH)


def patches(count=1):
    """Label maps with one random rectangle per object."""
    labels = torch.zeros(count, HEIGHT, WIDTH, dtype=torch.long)
    for plane in labels:
        for k in (1, 2, 3):
            top, left = torch.randint(0, 20, (2,)).tolist()
            plane[top : top + 13, left : left + 13] = k
    return labels


def join(*memories):
    return tuple(
        LayerMemory(*(torch.cat(parts, dim=1) for parts in zip(*layers, strict=True)))
        for layers in zip(*memories, strict=True)
    )


@pytest.mark.parametrize("stride", [2, 4])
def test_features_lie_at_three_strides(stride):
    model = build_vmos(replace(TINY, encoder=replace(TINY.encoder, stride=stride)))
    features = model.encode(frames())
    for part, step, width in zip(features, (1, 2, 4), (8, 16, 16), strict=True):
        step *= stride
        assert part.shape == (1, width, (HEIGHT - 1) // step + 1, (WIDTH - 1) // step + 1)


def test_further_levels_keep_the_coarse_stride():
    encoder = InternImageConfig(2, (8, 16, 16, 16), (1, 1, 1, 2), (1, 2, 2, 4))
    deeper = replace(TINY, encoder=encoder)
    assert build_vmos(deeper).encode(frames()).coarse.shape == (1, 16, 5, 7)


def test_identity_is_blind_to_labels_without_a_channel(model):
    labels = patches()
    beyond = torch.where(labels == 2, 200, labels)
    with_hole = model.identity(beyond, (9, 13))
    assert all(torch.isfinite(part).all() for part in with_hole)
    for part, full in zip(with_hole, model.identity(labels, (9, 13)), strict=True):
        assert not torch.allclose(part, full)
    again = model.identity(torch.where(labels == 2, 4, labels), (9, 13))
    for part, other in zip(with_hole, again, strict=True):
        assert torch.equal(part, other)


@pytest.mark.parametrize("last", [0, 1, 2, 3])
def test_identity_of_few_objects_is_that_with_the_channels_of_all(model, last):
    labels = patches(2).clamp(max=last)
    with torch.inference_mode(False), torch.enable_grad():  # then no channel is left out
        expected = model.identity(labels.clone(), (9, 13))
    for part, full in zip(model.identity(labels, (9, 13)), expected, strict=True):
        torch.testing.assert_close(part, full.detach())


def test_an_mlp_computes_a_few_places_at_a_time(monkeypatch):
    mlp, x = Mlp(8), torch.randn(2, 5, 7, 8)
    expected = mlp(x)
    monkeypatch.setattr(internimage, "AT_A_TIME", 3 * 32)
    torch.testing.assert_close(mlp(x), expected)


def test_a_batch_is_its_videos_one_by_one(model):
    first, second, labels = frames(2), frames(2), patches(2)
    memory = model.reference(model.encode(first), labels)
    together = model.propagate(model.encode(second), memory, memory)
    written = model.memorize(together.states, labels)
    for n in range(2):
        alone = model.reference(model.encode(first[n : n + 1]), labels[n : n + 1])
        out = model.propagate(model.encode(second[n : n + 1]), alone, alone)
        torch.testing.assert_close(out.logits[0], together.logits[n], atol=1e-4, rtol=1e-4)
        for layer, whole in zip(
            model.memorize(out.states, labels[n : n + 1]), written, strict=True
        ):
            torch.testing.assert_close(layer.value[0], whole.value[n], atol=1e-4, rtol=1e-4)


def test_the_order_of_long_term_memory_does_not_matter_but_its_content_does(model):
    features = model.encode(frames())
    a, b = (model.reference(model.encode(frames()), patches()) for _ in range(2))
    expected = model.propagate(features, join(a, b), a).logits
    swapped = model.propagate(features, join(b, a), a).logits
    torch.testing.assert_close(swapped, expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(model.propagate(features, a, a).logits, expected, atol=1e-2)
    assert not torch.allclose(model.propagate(features, join(a, b), b).logits, expected, atol=1e-2)


def test_the_labels_of_memory_decide_what_is_seen(model):
    before, now = model.encode(frames()), model.encode(frames())
    labels = patches()
    logits = []
    for given in (labels, torch.where(labels == 1, 2, labels)):
        memory = model.reference(before, given)
        logits.append(model.propagate(now, memory, memory).logits)
    assert not torch.allclose(*logits, atol=1e-2)


def test_a_layer_remembers_its_width_in_keys_and_twice_two_values(model):
    memory = model.reference(model.encode(frames()), patches())
    shapes = [(tuple(layer.key.shape), tuple(layer.value.shape)) for layer in memory]
    coarse, fine = 5 * 7, 9 * 13
    assert shapes == [((1, coarse, 8), (1, coarse, 64))] * 2 + [((1, fine, 4), (1, fine, 32))]


def test_no_weight_is_without_gradient():
    """Everything that is stored is read: in propagation, reference and memory together."""
    with torch.inference_mode(False):
        model = tiny_vmos()
        for name, parameter in model.named_parameters():
            if "gamma" not in name:
                torch.nn.init.normal_(parameter, std=0.2)
        memory = model.reference(model.encode(frames()), patches())
        out = model.propagate(model.encode(frames()), memory, memory)
        again = model.propagate(
            model.encode(frames()), memory, model.memorize(out.states, patches())
        )
        (out.logits.square().mean() + again.logits.square().mean()).backward()
        unread = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        assert unread == []


def test_bfloat16_autocast_changes_logits_little(model):
    first, second, labels = frames(), frames(), patches()
    logits = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            memory = model.reference(model.encode(first), labels)
            logits.append(model.propagate(model.encode(second), memory, memory).logits.float())
    exact, rough = logits
    assert torch.isfinite(rough).all()
    assert (rough - exact).abs().mean() < 0.1 * exact.std()
    assert (rough - exact).abs().max() > 0
