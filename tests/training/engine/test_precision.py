"""Convolutions in float32 while the rest computes in bfloat16."""

import copy

import pytest
import torch
from torch import nn

from training.engine.precision import keep_convolutions


class Noted(nn.Conv2d):
    def forward(self, x):
        self.seen = x.dtype
        if x.shape[1] != self.in_channels:
            raise ArithmeticError
        return super().forward(x)


@pytest.fixture
def model():
    model = nn.Sequential(Noted(2, 2, 1), nn.Flatten(), nn.Linear(8, 8))
    keep_convolutions(model)
    return model


def test_convolutions_alone_are_in_float32(model):
    x = torch.rand(1, 2, 2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert model[0](x.bfloat16()).dtype == torch.float32
        assert model(x).dtype == torch.bfloat16
    assert model[0].seen == torch.float32


def test_without_autocast_nothing_changes(model):
    assert model(torch.rand(1, 2, 2, 2)).dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")


def test_after_an_error_autocast_goes_on(model):
    with torch.autocast("cpu", torch.bfloat16):
        with pytest.raises(ArithmeticError):
            model(torch.rand(1, 3, 2, 2))
        assert torch.is_autocast_enabled("cpu")
        assert model(torch.rand(1, 2, 2, 2)).dtype == torch.bfloat16


def test_a_copy_computes_with_its_own_weights(model):
    copied = copy.deepcopy(model)
    nn.init.zeros_(copied[0].weight)
    nn.init.zeros_(copied[0].bias)
    assert not copied[0](torch.rand(1, 2, 2, 2)).any()
    assert model[0](torch.rand(1, 2, 2, 2)).any()
