"""Which sizes fit together, and what a file holds of them."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from tests.helpers.tiny_vmos import TINY
from vmos import InternImageConfig, TimmConfig, VMOSConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depths": (1, 1)}, "one entry per level"),
        ({"groups": (1, 2, 2, 2)}, "one entry per level"),
        ({"widths": (8, 16), "depths": (1, 1), "groups": (1, 1)}, "at least three levels"),
        (
            {"widths": (8, 16, 16, 32), "depths": (1, 1, 1, 1), "groups": (1, 2, 2, 2)},
            "need one width",
        ),
        ({"stride": 1}, "stride is 2 or 4, not 1"),
        ({"stride": 8}, "stride is 2 or 4, not 8"),
        ({"groups": (1, 3, 2)}, "must divide"),
        ({"groups": (1, 0, 2)}, "at least 1"),
        ({"depths": (1, 0, 1)}, "at least 1"),
        ({"widths": (0, 16, 16)}, "at least 1"),
    ],
)
def test_encoders_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY.encoder, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": (6, 8, 16)}, "multiples of norm_groups 4"),
        ({"widths": (8, 8, 15), "norm_groups": 5}, "multiples of norm_groups 5"),
        ({"widths": (5, 5, 5), "norm_groups": 5}, "even"),
        ({"widths": (0, 8, 16)}, "at least 1"),
        ({"norm_groups": 0}, "at least 1"),
        ({"objects": 0}, "at least 1"),
        ({"coarse_layers": 0}, "at least 1"),
        ({"window_radius": 0}, "at least 1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **changes)


def test_the_default_is_the_released_model():
    config = VMOSConfig()
    assert (config.stride, config.fine_stride, config.coarse_stride) == (4, 8, 16)
    assert (config.objects, config.joined, config.fine_identity) == (10, False, False)
    assert config.encoder == InternImageConfig(
        4, (64, 128, 256, 256), (4, 4, 18, 4), (4, 8, 16, 32)
    )
    with pytest.raises(FrozenInstanceError):
        config.objects = 3


def test_further_levels_stay_at_the_coarse_stride():
    encoder = InternImageConfig(2, (8, 16, 16, 16), (1, 1, 1, 2), (1, 2, 2, 4))
    assert replace(TINY, encoder=encoder).coarse_stride == 8


@pytest.mark.parametrize(
    "config", [VMOSConfig(), TINY, VMOSConfig(encoder=TimmConfig("resnet18"), joined=True)]
)
def test_a_file_keeps_a_configuration(config):
    assert VMOSConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_what_a_file_lacks_is_the_default():
    assert VMOSConfig.from_dict({}) == VMOSConfig()
    small = VMOSConfig.from_dict({"encoder": {"name": "tf_efficientnet_lite2"}, "objects": 3})
    assert small == VMOSConfig(objects=3, encoder=TimmConfig("tf_efficientnet_lite2"))


@pytest.mark.parametrize(
    "values", [{"width": [1, 2, 3]}, {"encoder": {"name": "a", "depths": [1]}}]
)
def test_unknown_fields_are_refused(values):
    with pytest.raises(TypeError, match="unexpected keyword"):
        VMOSConfig.from_dict(values)
