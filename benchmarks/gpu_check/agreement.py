"""Whether a kernel and its plain function agree, and whether it always gives the same."""

from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.gpu_check.cases import FUSED, PLAIN, Case
from hqtrack.compute.trial import TOLERANCE, relative_error


class Agreement(NamedTuple):
    """How a kernel's result compares.

    Attributes:
        error: the norm of the difference from float32, relative to that of the result.
        largest: the largest difference.
        steady: whether a second launch gives the same bits.
    """

    error: float
    largest: float
    steady: bool

    def good(self, dtype: torch.dtype) -> bool:
        """Whether this is fine for a kernel in this type; not for NaN."""
        return self.steady and self.error <= TOLERANCE[dtype]


@torch.inference_mode()
def agreement(case: Case, dtype: torch.dtype, device: torch.device, seed: int) -> Agreement:
    """Compare on fresh inputs; the plain function computes in float32 from the same numbers."""
    inputs = case.inputs(dtype, device, seed)
    first, second = (FUSED[case.kernel](*inputs) for _ in range(2))
    raised = [part.float() if isinstance(part, Tensor) else part for part in inputs]
    expected = PLAIN[case.kernel](*raised)
    difference = float((first.float() - expected).abs().max())
    return Agreement(relative_error(first, expected), difference, torch.equal(first, second))


def check_all(
    cases: list[Case], dtypes: tuple[torch.dtype, ...], device: torch.device, seeds: tuple[int, ...]
) -> tuple[dict[str, dict[str, object]], list[str]]:
    """What was found for each case, type and seed, and what is wrong, in a few words each.

    A case that raises an error is wrong and does not stop the others.
    """
    found: dict[str, dict[str, object]] = {}
    wrong = []
    for case in cases:
        for dtype in dtypes:
            for seed in seeds:
                kind = str(dtype).removeprefix("torch.")
                name = f"{case.kernel}, {case.name}, {kind}, inputs {seed}"
                try:
                    result = agreement(case, dtype, device, seed)
                except Exception as error:  # compilers raise errors of any type
                    found[name] = {"raised": f"{type(error).__name__}: {error}"}
                    wrong.append(f"{name}: {type(error).__name__}")
                    continue
                found[name] = result._asdict()
                if not result.good(dtype):
                    steady = "" if result.steady else ", differs from launch to launch"
                    wrong.append(f"{name}: {result.error:.1%} off{steady}")
    return found, wrong
