"""Which sizes fit together."""

from dataclasses import FrozenInstanceError, replace

import pytest

from tests.helpers.tiny_vmos import TINY
from vmos import VMOSConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder_depths": (1, 1)}, "one entry per level"),
        ({"encoder_groups": (1, 2, 2, 2)}, "one entry per level"),
        (
            {"encoder_widths": (8, 16), "encoder_depths": (1, 1), "encoder_groups": (1, 1)},
            "at least three levels",
        ),
        (
            {
                "encoder_widths": (8, 16, 16, 32),
                "encoder_depths": (1, 1, 1, 1),
                "encoder_groups": (1, 2, 2, 2),
            },
            "need one width",
        ),
        ({"stride": 1}, "stride is 2 or 4, not 1"),
        ({"stride": 8}, "stride is 2 or 4, not 8"),
        ({"encoder_groups": (1, 3, 2)}, "must divide"),
        ({"encoder_groups": (1, 0, 2)}, "at least 1"),
        ({"encoder_depths": (1, 0, 1)}, "at least 1"),
        ({"encoder_widths": (0, 16, 16)}, "at least 1"),
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
    assert config.objects == 10
    with pytest.raises(FrozenInstanceError):
        config.objects = 3


def test_further_levels_stay_at_the_coarse_stride():
    config = replace(
        TINY,
        encoder_widths=(8, 16, 16, 16),
        encoder_depths=(1, 1, 1, 2),
        encoder_groups=(1, 2, 2, 4),
    )
    assert config.coarse_stride == 8
