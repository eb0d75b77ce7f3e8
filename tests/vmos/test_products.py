"""Products of a CPU: the same numbers as torch's own, whichever library computes them."""

import pytest
import torch
from torch.nn import functional as F

from vmos import products
from vmos.products import Linear, multiplier


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def asked(monkeypatch):
    """The shapes that oneDNN was asked for."""
    shapes, honest = [], products._onednn

    def onednn(x, weight, bias):
        shapes.append((tuple(x.shape), tuple(weight.shape)))
        return honest(x, weight, bias)

    products._is_right()  # asks, too
    monkeypatch.setattr(products, "_onednn", onednn)
    return shapes


@pytest.fixture
def available():
    if not products._is_right():
        pytest.skip("this torch has no such operator of oneDNN")


@pytest.mark.parametrize("count", [7, products.MANY])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
@torch.inference_mode()
def test_products_with_the_same_rows(available, asked, batch, transposed, count):
    rows = torch.randn(batch, 11, 5)
    if transposed:
        rows = rows.mT.contiguous().mT
    multiply = multiplier(rows, count)
    for length in (7, 3):
        x = torch.randn(batch, length, 5)
        torch.testing.assert_close(multiply(x), x @ rows.mT)
    assert asked == ([((7, 5), (11, 5)), ((3, 5), (11, 5))] if batch == 1 else [])


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 4, 5)])
@torch.inference_mode()
def test_a_linear_layer(available, asked, shape, bias):
    layer, x = Linear(5, 3, bias=bias), torch.randn(shape)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias))
    strided = torch.randn(5, *shape[:-1]).movedim(0, -1)
    torch.testing.assert_close(layer(strided), F.linear(strided, layer.weight, layer.bias))
    assert len(asked) == 2


def test_gradients_pass(asked):
    layer, x = Linear(5, 3), torch.randn(2, 5, requires_grad=True)
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, layer.weight.sum(dim=0).expand(2, 5))
    multiplier(layer.weight[None], products.MANY)(x[None]).sum().backward()
    assert asked == []


@torch.inference_mode()
def test_other_tensors_are_left_to_torch(asked):
    layer, x = Linear(5, 3), torch.randn(2, 5)
    assert layer(x[:0]).shape == (0, 3)
    assert layer.double()(x.double()).dtype == torch.float64
    assert layer.to("meta")(x.to("meta")).device.type == "meta"
    layer = Linear(5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    assert asked == []


@pytest.mark.parametrize("fails", [AttributeError, RuntimeError, TypeError, None])
def test_an_operator_that_is_missing_or_wrong_is_not_used(monkeypatch, fails):
    """It has no promise, so another version of torch may lack or change it."""

    def changed(x, weight, bias):
        if fails is not None:
            raise fails
        return x @ weight.T

    monkeypatch.setattr(products, "_onednn", changed)
    products._is_right.cache_clear()
    try:
        assert not products._is_right()
        with torch.inference_mode():
            x = torch.ones(1, 2, 3)
            rows = torch.ones(1, 4, 3)
            assert multiplier(rows, products.MANY)(x).tolist() == [[[3.0] * 4] * 2]
    finally:
        monkeypatch.undo()
        products._is_right.cache_clear()
