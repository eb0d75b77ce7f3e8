"""Step 2: every kernel against its plain function at small sizes, in both types."""

import torch

from benchmarks.gpu_check.agreement import check_all
from benchmarks.gpu_check.cases import small_cases
from benchmarks.gpu_check.found import CheckFailed, Found, Options


def check(options: Options, found: Found) -> None:
    """Raises CheckFailed if a kernel does not agree."""
    device = torch.device("cpu" if options.dry else "cuda")
    # the interpreter multiplies the bits of bfloat16 matrices as if they were numbers
    half = torch.float16 if options.dry else torch.bfloat16
    results, wrong = check_all(small_cases(), (torch.float32, half), device, (0,))
    found.put("agreement", results)
    if wrong:
        raise CheckFailed("; ".join(wrong))
