"""Layouts that are read, weights that are missed, files that are no checkpoint of ours."""

import json
from dataclasses import replace

import pytest
import torch

from tests.helpers.tiny_vmos import TINY, tiny_vmos
from vmos import CheckpointError, build_vmos
from vmos.checkpoint import official_name


@pytest.fixture(scope="module")
def manifest(shared):
    return json.loads((shared / "parity" / "vmos" / "manifest.json").read_text())


@pytest.fixture(scope="module")
def dead(manifest):
    """Official keys that inference never reads."""
    return set(manifest["dead_keys"])


@pytest.fixture(scope="module")
def official(manifest):
    """A checkpoint in the official layout; every tensor is filled with its place in the list."""
    return {
        key: torch.full(shape, float(place))
        for place, (key, shape, _) in enumerate(manifest["manifest"])
    }


def same(model, other):
    ours, theirs = model.state_dict(), other.state_dict()
    assert list(ours) == list(theirs)
    return all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_every_live_official_key_has_its_own_place(official, dead):
    weights = build_vmos(state_dict=official).state_dict()
    assert sorted(map(official_name, weights)) == sorted(official.keys() - dead)
    for key, weight in weights.items():
        assert torch.equal(weight, official[official_name(key)]), key


def test_the_released_model_has_the_published_size_less_what_is_dead(official, dead):
    assert sum(tensor.numel() for tensor in official.values()) == 33_820_938
    unread = 1_180_672 + 1_024 + 1_274_123
    assert sum(official[key].numel() for key in dead) == unread
    with torch.device("meta"):
        parameters = build_vmos().parameters()
    assert sum(parameter.numel() for parameter in parameters) == 33_820_938 - unread


def test_dead_keys_may_be_absent_or_misshapen(official, dead):
    expected = build_vmos(state_dict=official)
    absent = {key: value for key, value in official.items() if key not in dead}
    misshapen = official | {key: torch.zeros(1) for key in dead}
    assert same(build_vmos(state_dict=absent), expected)
    assert same(build_vmos(state_dict=misshapen), expected)


def test_missing_live_keys_are_named(official, dead):
    incomplete = {key: value for key, value in official.items() if "id_norm_s8" not in key}
    with pytest.raises(CheckpointError) as raised:
        build_vmos(state_dict=incomplete)
    total = len(official) - len(dead)
    assert f"2 of {total} weights are missing" in str(raised.value)
    assert "identity.fine_norm.weight (officially id_norm_s8.weight)" in str(raised.value)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("nest", [None, "state_dict", "model"])
def test_nested_and_prefixed_layouts(nest, prefix):
    model = tiny_vmos(seed=1)
    weights = {prefix + key: value for key, value in model.state_dict().items()}
    checkpoint = weights if nest is None else {nest: weights, "optimizer": {"state": [1]}}
    assert same(build_vmos(TINY, checkpoint), model)


def test_weights_are_copied_as_float32_and_ready_for_training():
    weights = {key: value.half() for key, value in tiny_vmos(seed=1).state_dict().items()}
    model = build_vmos(TINY, weights)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not model.training
    first = tiny_vmos()
    second = build_vmos(TINY, first.state_dict())
    with torch.no_grad():
        second.head.classify.bias += 1
    assert not first.head.classify.bias.any()


def test_missing_and_misshapen_weights_are_named_together():
    weights = tiny_vmos().state_dict()
    del weights["head.classify.bias"]
    weights["head.mix.norm.weight"] = torch.zeros(3)
    with pytest.raises(CheckpointError) as raised:
        build_vmos(TINY, weights)
    message = str(raised.value)
    assert f"1 of {len(weights) + 1} weights are missing: head.classify.bias (offic" in message
    assert "head.mix.norm.weight (officially conv_output1.gn.weight) is (3,) instead of" in message


def test_weights_of_another_configuration_are_refused():
    with pytest.raises(CheckpointError, match=r"is \(4, 16, 1, 1\) instead of \(11, 16, 1, 1\)"):
        build_vmos(replace(TINY, objects=10), tiny_vmos().state_dict())


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"epoch": 3},
        {"epoch": 3, 7: torch.zeros(2)},
        {"model": torch.zeros(2)},
        {"state_dict": {"layer1.weight": torch.zeros(2, 2)}},
        [("head.classify.bias", torch.zeros(4))],
        torch.zeros(3),
        "weights.pth",
    ],
    ids=lambda content: str(content)[:30],
)
def test_what_is_no_checkpoint_of_ours_is_refused(content):
    with pytest.raises(CheckpointError) as raised:
        build_vmos(TINY, content)
    message = str(raised.value)
    if isinstance(content, dict):
        total = len(tiny_vmos().state_dict())
        assert f"{total} of {total} weights are missing" in message
        assert f"and {total - 8} more" in message
        assert "Use the checkpoint that was made with this configuration" in message
    else:
        assert type(content).__name__ in message
        assert "dictionary" in message
