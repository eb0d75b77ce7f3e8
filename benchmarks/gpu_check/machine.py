"""Step 1: versions, C compiler, and the speed of copies and matrix products."""

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import torch

from benchmarks.gpu_check.found import CheckFailed, Found, Options
from hqtrack.bench.measure import machine, product_throughput, synchronizer, timed

PACKAGES = (
    *("torch", "torchvision", "timm", "numpy", "triton", "pillow", "segment-anything"),
    *("opencv-python", "opencv-python-headless"),
)
COMPILERS = ("cc", "gcc", "clang")

_GIGABYTE = 10**9


def check(options: Options, found: Found) -> None:
    """Raises CheckFailed where Triton or a C compiler is missing."""
    device = torch.device("cpu" if options.dry else "cuda")
    found.put("machine", machine(device))
    found.put("versions", {"python": sys.version.split()[0], **versions()})
    asked = os.environ.get("CC")
    compiler = next(
        filter(None, map(shutil.which, (*([asked] if asked else []), *COMPILERS))), None
    )
    found.put("C compiler", compiler)
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found.put(
            "gpu",
            {
                "capability": [properties.major, properties.minor],
                "processors": properties.multi_processor_count,
                "memory GB": properties.total_memory / _GIGABYTE,
                "shared memory per block": properties.shared_memory_per_block_optin,
            },
        )
    found.put("copy, GB/s", copy_rate(device, 10**6 if options.dry else 10**9))
    for dtype in (torch.bfloat16, torch.float32):
        rate = product_throughput(device, dtype, rounds=1 if options.dry else 10)
        found.put(f"products in {dtype}, TFLOP/s", rate / 1e12)
    if find_spec("triton") is None:
        raise CheckFailed("Triton is missing: install it (`pip install triton`)")
    if compiler is None:
        raise CheckFailed("there is no C compiler, which Triton needs: install gcc or set CC")


def versions() -> dict[str, str | None]:
    """The versions of the packages; None for one that is missing."""
    known: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            known[name] = version(name)
        except PackageNotFoundError:
            known[name] = None
    return known


def copy_rate(device: torch.device, size: int, rounds: int = 10) -> float:
    """10^9 bytes per second that a copy of `size` bytes reads and writes, at best."""
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    wait = synchronizer(device)
    seconds = [timed(lambda: target.copy_(source), wait).wall for _ in range(rounds)]
    return 2 * size / min(seconds) / _GIGABYTE
