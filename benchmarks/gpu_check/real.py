"""Step 3: every kernel at the sizes of the trackers in 16 bits against float32, twice."""

from itertools import chain

import torch

from benchmarks.gpu_check.agreement import check_all
from benchmarks.gpu_check.cases import Case, refiner_cases, tracker_cases, vmos_cases
from benchmarks.gpu_check.found import CheckFailed, Found, Options
from hqtrack.segmenter import SegmenterConfig
from vmos import InternImageConfig, VMOSConfig

FULL_HD = (1080, 1920)

_TOY = VMOSConfig(
    encoder=InternImageConfig(widths=(8, 16, 16), depths=(1, 1, 1), groups=(1, 2, 2)),
    widths=(8, 8, 16),
    window_radius=2,
    norm_groups=4,
)


def check(options: Options, found: Found) -> None:
    """Raises CheckFailed if a kernel does not agree, or differs from launch to launch."""
    device = torch.device("cpu" if options.dry else "cuda")
    half = torch.float16 if options.dry else torch.bfloat16
    wrong: list[str] = []
    for name, cases in groups(options.dry).items():
        results, faults = check_all(cases, (half,), device, (1, 2))
        found.put(name, results)
        wrong += faults
    if wrong:
        raise CheckFailed("; ".join(wrong))


def groups(dry: bool) -> dict[str, list[Case]]:
    """The cases of each network; in a dry run those of a toy, whose maps are a few pixels."""
    if dry:
        toy = vmos_cases("toy", _TOY, SegmenterConfig(48, 64), (48, 64), 2)
        return {"toy": list(chain.from_iterable(toy.values()))}
    by_kernel = {preset: tracker_cases(preset, FULL_HD) for preset in ("full", "light")}
    by_kernel |= {variant: refiner_cases(variant) for variant in ("vit_h", "vit_b")}
    return {name: list(chain.from_iterable(found.values())) for name, found in by_kernel.items()}
