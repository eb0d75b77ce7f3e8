"""Starting from an image classifier of timm."""

from dataclasses import replace

import pytest
import timm
import torch

from hqtrack.errors import InputError
from tests.helpers.tiny_vmos import tiny_vmos
from training.vmos.classifier import prepare_matching, take_classifier, with_context
from vmos import TimmConfig, VMOSConfig, build_vmos

CONFIG = TimmConfig("tf_efficientnet_lite0")


@pytest.fixture(scope="module")
def weights():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        return timm.create_model(CONFIG.name).state_dict()


@pytest.fixture
def model():
    return build_vmos(VMOSConfig(encoder=CONFIG, objects=3, widths=(8, 8, 16), norm_groups=4))


@pytest.mark.parametrize("renamed", [False, True])
def test_weights_are_taken_by_name_or_order(model, weights, renamed):
    stored = {f"_{n}": value for n, value in enumerate(weights.values())} if renamed else weights
    told = take_classifier(model, CONFIG, stored)
    assert told.startswith("encoder: 198 of the 296 tensors")
    classifier = timm.create_model(CONFIG.name).eval()
    classifier.load_state_dict(weights)
    image = torch.rand(1, 3, 65, 65)
    found = model.encoder.body(image)
    expected = classifier.forward_intermediates(image, [1, 2, 3], intermediates_only=True)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_weights_of_another_classifier_are_refused(model, weights):
    for stored in ({"a": torch.zeros(3)}, timm.create_model("resnet18").state_dict()):
        with pytest.raises(InputError, match="not the 296 tensors of tf_efficientnet_lite0"):
            take_classifier(model, CONFIG, stored)
    cut = {f"_{n}": value[:1] for n, value in enumerate(weights.values()) if value.ndim}
    with pytest.raises(InputError, match="give a checkpoint of this classifier"):
        take_classifier(model, CONFIG, cut)


def test_matching_starts_with_orthogonal_keys_of_measured_features(model):
    images = torch.randn(2, 3, 65, 65)
    prepare_matching(model, images)
    coarse = model.encoder.pyramid(images)[2]
    assert coarse.mean().abs() < 1e-3
    for layer in model.propagation.layers():
        keys = layer.query_value.weight[: layer.split[0]]
        torch.testing.assert_close(keys @ keys.T, 1.44 * torch.eye(len(keys)), atol=1e-4, rtol=0)
        assert not layer.query_value.bias[: layer.split[0]].any()


def test_an_encoder_without_measured_features_is_prepared_too():
    model = tiny_vmos()
    prepare_matching(model, torch.rand(1, 3, 33, 33))
    projector = model.encoder.projector.weight[:, :, 0, 0]
    torch.testing.assert_close(projector @ projector.T, 1.44 * torch.eye(16), atol=1e-4, rtol=0)


def test_a_context_that_is_added_changes_nothing_at_first(model, weights):
    model.encoder.measure(torch.randn(1, 3, 65, 65))
    deeper = replace(model.config, encoder=replace(CONFIG, context=True))
    images = torch.randn(2, 3, 65, 65)
    grown = build_vmos(deeper, with_context(deeper, model.state_dict(), weights, images))
    assert all(map(torch.equal, grown.encode(images), model.encode(images)))
    *_, coarse, deepest = grown.encoder.body(images)
    classifier = timm.create_model(CONFIG.name).eval()
    classifier.load_state_dict(weights)
    expected = classifier.blocks[6](classifier.blocks[5](coarse))
    torch.testing.assert_close(deepest, expected, atol=1e-3, rtol=1e-3)
    grown.encoder.context.weight.data.normal_()
    context = grown.encoder.pyramid(images)[2] - model.encoder.pyramid(images)[2]
    assert context.std() > 1


def test_a_context_is_added_only_where_there_is_one(model, weights):
    with pytest.raises(InputError, match="leave --deepen out"):
        with_context(model.config, model.state_dict(), weights, torch.rand(1, 3, 33, 33))
