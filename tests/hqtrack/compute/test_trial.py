from pathlib import Path

import pytest
import torch
from torch import Tensor

from hqtrack.compute.trial import (
    Agreement,
    Family,
    KernelError,
    compared,
    describe_faults,
    install_what_works,
)


def double(x: Tensor) -> Tensor:
    return 2 * x


@pytest.mark.parametrize("factor", [2.2, torch.nan, torch.inf])
def test_a_kernel_that_differs_is_found_out(factor: float) -> None:
    x = torch.tensor([1.0, -2.0], dtype=torch.bfloat16)
    assert torch.equal(compared(double, double)(x), double(x))
    with pytest.raises(KernelError, match="differs by"):
        compared(lambda x: factor * x, double)(x)


class Network:
    """Uses two functions one after the other."""

    def __init__(self, **fused: object) -> None:
        self.uses: dict[str, object] = {}
        self.rehearsals = 0
        self.fused = {"a": double, "b": double} | fused

    def rehearse(self) -> None:
        self.rehearsals += 1
        x = torch.ones(3)
        for function in self.uses.values():
            x = function(x)

    def family(self) -> Family:
        plain = {"a": torch.Tensor.double, "b": double}
        plain["a"] = lambda x: x + x
        self.plain = plain
        return Family(self.uses.update, self.fused, plain, self.rehearse)


def test_what_works_is_installed_and_the_rest_stays_plain() -> None:
    def broken(x: Tensor) -> Tensor:
        raise OSError("no compiler")

    network = Network(b=broken)
    faults = install_what_works(network.family())
    assert list(faults) == ["b"]
    assert isinstance(faults["b"], OSError)
    assert network.uses == {"a": double, "b": network.plain["b"]}


def test_what_agreed_before_is_only_compiled_unless_it_fails_now() -> None:
    network = Network(b=lambda x: 3 * x)
    assert install_what_works(network.family(), known=True) == {}
    assert network.rehearsals == 1
    assert list(install_what_works(network.family())) == ["b"]


def test_agreement_is_that_of_one_gpu_these_networks_and_these_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    source = tmp_path / "kernels.py"
    source.write_text("one")

    def agreement(device: str = "cuda:0", network: str = "light") -> Agreement:
        return Agreement(torch.device(device), [network], [source])

    assert not agreement().known()
    agreement().note()
    agreement("cpu").note()
    assert agreement().known()
    assert not agreement("cuda:1").known()
    assert not agreement(network="full").known()
    assert not agreement("cpu").known()
    source.write_text("two")
    assert not agreement().known()


def test_faults_are_told_also_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hqtrack").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    said = describe_faults({"a": OSError("no\ncompiler"), "b": KernelError("it differs")})
    assert said == "hqtrack: no Triton kernel for a, b, slower: no compiler"
