"""Features of an image classifier of timm: the same without its batch norms."""

import pytest
import torch
from torch import nn

from backbones.timm_body import fold, normalisation, plain_body

LITE = "tf_efficientnet_lite0"
STRIDES = (4, 8, 16)


def lively(body):
    """The body with batch norms that do something, as after training."""
    torch.manual_seed(0)
    for norm in body.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.3)
            nn.init.normal_(norm.running_mean, std=0.1)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
    return body.eval()


@pytest.mark.parametrize("name", [LITE, "resnet18"])
@pytest.mark.parametrize("size", [(65, 97), (97, 49)])
def test_folded_batch_norms_and_symmetric_padding_change_nothing(name, size):
    image = torch.rand(2, 3, *size)
    body = lively(plain_body(name, STRIDES))
    with torch.no_grad():
        expected = body(image)
        found = fold(body)(image)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in body.modules())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_nothing_after_stride_16_is_kept():
    names = [name for name, _ in plain_body(LITE, STRIDES).named_parameters()]
    assert not any(".blocks.5." in name or "classifier" in name for name in names)
    assert any(".blocks.4." in name for name in names)


@pytest.mark.parametrize(
    ("name", "message"),
    [("no_such_net", "timm makes no encoder"), ("vit_tiny_patch16_224", "strides")],
)
def test_what_is_no_encoder_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        plain_body(name, STRIDES)


def test_a_norm_without_a_convolution_is_refused():
    with pytest.raises(ValueError, match="does not follow a convolution"):
        fold(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)))


def test_deeper_strides_have_the_same_features_before_them():
    image = torch.rand(1, 3, 64, 64)
    deep = plain_body(LITE, (*STRIDES, 32)).eval()
    assert deep.feature_info.channels() == [24, 40, 112, 320]
    shallow = plain_body(LITE, STRIDES).eval()
    shallow.load_state_dict(deep.state_dict(), strict=False)
    with torch.no_grad():
        for one, other in zip(shallow(image), deep(image), strict=False):
            torch.testing.assert_close(one, other)


def test_the_mean_of_images_becomes_that_of_the_classifier():
    mean = torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1)
    torch.testing.assert_close(normalisation(LITE)(torch.zeros_like(mean)), 2 * mean - 1)
