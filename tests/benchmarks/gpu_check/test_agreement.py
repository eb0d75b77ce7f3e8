import itertools

import pytest
import torch
from torch import Tensor

from benchmarks.gpu_check import agreement
from benchmarks.gpu_check.cases import PLAIN, Case

CASE = Case("few", "global_attention", ((1, 5, 4), (1, 6, 4), (1, 6, 3)))
CPU = torch.device("cpu")


def tried(kernel: object, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setitem(agreement.FUSED, "global_attention", kernel)
    found, wrong = agreement.check_all([CASE], (torch.float32,), CPU, (1, 2))
    assert list(found) == [f"global_attention, few, float32, inputs {seed}" for seed in (1, 2)]
    return wrong


def test_a_kernel_that_is_right_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tried(PLAIN["global_attention"], monkeypatch) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda right, _: 1.1 * right, "10.0% off"),
        (lambda right, _: torch.nan * right, "nan% off"),
        (lambda right, call: right + 1e-6 * (call % 2), "differs from launch to launch"),
        (lambda right, _: right.no_such_thing, "AttributeError"),
    ],
)
def test_a_kernel_that_is_wrong_or_unsteady_is_told(
    change: object, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()

    def kernel(*inputs: Tensor) -> Tensor:
        return change(PLAIN["global_attention"](*inputs), next(calls))

    wrong = tried(kernel, monkeypatch)
    assert len(wrong) == 2
    assert all(said in line for line in wrong)
