"""An image classifier of timm as encoder: the same features, without its batch norms."""

import pytest
import timm
import torch

from vmos import TimmConfig, VMOSConfig, build_vmos
from vmos.timm_encoder import TimmEncoder, enlarge

LITE = "tf_efficientnet_lite0"
SMALL = VMOSConfig(encoder=TimmConfig(LITE), objects=3, widths=(8, 8, 16), norm_groups=4)


def test_nothing_is_learnt_by_a_batch_norm_in_training():
    """Features do not depend on what else is in the batch, and no statistics are kept."""
    encoder = TimmEncoder(TimmConfig(LITE), 16, joined=False).train()
    images = torch.rand(3, 3, 65, 65)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    together = encoder(images).coarse
    torch.testing.assert_close(encoder(images[:1]).coarse, together[:1], atol=1e-5, rtol=1e-4)
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())


def test_the_classifier_sees_images_as_it_was_trained():
    encoder = TimmEncoder(TimmConfig(LITE), 16, joined=False)
    pixels = torch.rand(1, 3, 17, 17)
    mean, deviation = (
        [[[value]] for value in values] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    ours = (pixels - torch.tensor(mean)) / torch.tensor(deviation)
    torch.testing.assert_close(encoder.normalise(ours), 2 * pixels - 1)


def test_strides_and_widths_are_those_of_the_features():
    model = build_vmos(SMALL)
    features = model.encode(torch.rand(1, 3, 65, 97))
    assert [part.shape[1:] for part in features] == [(24, 17, 25), (40, 9, 13), (16, 5, 7)]
    assert model.encoder.skip_widths == (24, 40)


def test_fine_propagation_may_see_the_coarse_feature():
    image = torch.rand(1, 3, 65, 65)
    encoder = TimmEncoder(TimmConfig(LITE), 16, joined=True).eval()
    fine, (_, middle, coarse) = encoder(image).fine, encoder.pyramid(image)
    assert encoder.skip_widths == (24, 152)
    torch.testing.assert_close(fine[:, :40], middle)
    torch.testing.assert_close(fine[:, 40:, ::2, ::2], coarse)


@pytest.mark.parametrize("side", [65, 81])
def test_the_context_is_added_where_it_was_seen(side):
    """Pixel 2k at stride 16 gets what pixel k at stride 32 says, on odd and even sides."""
    encoder = TimmEncoder(TimmConfig(LITE, context=True), 16, joined=False).eval()
    image = torch.rand(1, 3, side, side)
    coarse = encoder.pyramid(image)[2]
    *_, alone, deepest = encoder.body(encoder.normalise(image))
    seen = (coarse - alone)[..., ::2, ::2]
    torch.testing.assert_close(seen, encoder.context(deepest), atol=1e-4, rtol=1e-4)


def test_context_is_interpolated_between_and_repeated_at_the_end():
    row = torch.tensor([[[[0.0, 2.0, 6.0]]]])
    assert enlarge(row, torch.Size([1, 5])).flatten().tolist() == [0, 1, 2, 4, 6]
    assert enlarge(row, torch.Size([2, 6]))[0, 0, 1].tolist() == [0, 1, 2, 4, 6, 6]


def test_measured_features_have_mean_0_and_deviation_1():
    encoder = TimmEncoder(TimmConfig(LITE), 16, joined=False).eval()
    images = torch.randn(2, 3, 65, 65)
    encoder.measure(images)
    for feature in encoder.pyramid(images):
        deviation, mean = torch.std_mean(feature, dim=(0, 2, 3))
        assert mean.abs().max() < 1e-3
        assert deviation.max() < 1 + 1e-3


def test_weights_travel_through_a_state_dict():
    model = build_vmos(SMALL)
    model.encoder.measure(torch.randn(1, 3, 33, 33))
    again = build_vmos(SMALL, model.state_dict())
    image = torch.rand(1, 3, 33, 33)
    assert all(map(torch.equal, again.encode(image), model.encode(image)))


def test_nothing_is_fetched(monkeypatch):
    asked = []
    make = timm.create_model

    def watched(name, pretrained=False, **options):
        asked.append(pretrained)
        return make(name, pretrained=pretrained, **options)

    monkeypatch.setattr(timm, "create_model", watched)
    build_vmos(SMALL)
    assert asked == [False]
