"""Step 4: times of the kernels over block sizes, warps and stages."""

import itertools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

import hqsam.kernels
import vmos.kernels
from benchmarks.gpu_check.cases import FUSED, Case, refiner_cases, small_cases, tracker_cases
from benchmarks.gpu_check.found import CheckFailed, Found, NotRun, Options
from benchmarks.gpu_check.real import FULL_HD
from hqtrack.bench.measure import synchronizer, timed
from hqtrack.compute.threads import usable_cores

SECONDS = 115
"""When this step stops trying, so that what it found is not lost to its time limit."""

_COMPILERS = 12
_ACCUMULATED = 128 * 256
"""Most sums that a program keeps in registers: queries times channels."""


class Trial(NamedTuple):
    """A way to launch a kernel on a case, and how many parts the keys are split in, if they are."""

    case: Case
    launch: Any
    splits: int | None = None

    def run(self, inputs: Sequence[Any]) -> Tensor:
        """The kernel's result."""
        splits = {} if self.splits is None else {"splits": self.splits}
        return FUSED[self.case.kernel](*inputs, launch=self.launch, **splits)

    @property
    def told(self) -> dict[str, Any]:
        """The launch as a JSON object."""
        splits = {} if self.splits is None else {"splits": self.splits}
        told: dict[str, Any] = self.launch._asdict()
        return told | splits


def check(options: Options, found: Found) -> None:
    """Raises CheckFailed if no way works for a case; stops in time, with what it has found."""
    until = time.monotonic() + SECONDS
    device = torch.device("cpu" if options.dry else "cuda")
    half = torch.float16 if options.dry else torch.bfloat16
    cases = small_cases() if options.dry else _cases()
    ways = {case: list(launches(case)) for case in cases}
    if options.dry:
        ways = {case: trials[:2] for case, trials in ways.items()}
    else:
        compile_all(list(itertools.chain.from_iterable(ways.values())), until - SECONDS / 3)
    best: dict[str, Any] = {}
    failed = []
    for case, trials in ways.items():
        if time.monotonic() > until:
            found.put("not tried for lack of time", [each.name for each in ways][len(best) :])
            break
        times = _times(trials, half, device, until, rounds=1 if options.dry else 10)
        if not times:
            failed.append(case.name)
            continue
        times.sort(key=lambda pair: pair[1])
        trial, ms = times[0]
        now = next((taken for each, taken in times if each is trials[0]), None)
        best[case.name] = {"best": trial.told, "ms": ms, "ms as it is": now, "tried": len(times)}
        found.put("best", best)
        found.put(f"all: {case.name}", [(each.told, taken) for each, taken in times])
    if failed:
        raise CheckFailed(f"no launch works for {', '.join(failed)}")
    if not best:
        raise NotRun("there was no time to try anything")


def launches(case: Case) -> Iterator[Trial]:
    """The ways to try on a case, the present one first."""
    ways = _refiner_launches if case.kernel == "position_attention" else _vmos_launches
    now, *others = ways(case)
    yield Trial(case, now)
    yield from (Trial(case, launch) for launch in others if launch != now)
    if case.kernel == "global_attention":
        yield from (Trial(case, now, splits) for splits in (1, 2, 3, 4, 5, 6, 8))


def _refiner_launches(case: Case) -> Iterator[hqsam.kernels.Launch]:
    window = (case.shapes[1][0] + 1) // 2
    yield hqsam.kernels.MAP if window**2 >= 1024 else hqsam.kernels.WINDOW
    for sizes in itertools.product((64, 128), (4, 8), (1, 2, 3)):
        yield hqsam.kernels.Launch(*sizes)


def _vmos_launches(case: Case) -> Iterator[vmos.kernels.Launch]:
    if case.kernel == "deformable_sample":
        yield vmos.kernels.SAMPLING
        for queries, warps in itertools.product((32, 64, 128), (2, 4, 8)):
            yield vmos.kernels.Launch(queries, warps=warps, stages=3)
        return
    local = case.kernel == "local_attention"
    yield vmos.kernels.LOCAL if local else vmos.kernels.GLOBAL[2]
    sides = (8, 16) if local else (64, 128)
    for sizes in itertools.product(sides, (32, 64, 128), (128, 256, 512), (4, 8), (2, 3)):
        launch = vmos.kernels.Launch(*sizes)
        rows = launch.queries**2 if local else launch.queries
        if rows * launch.channels <= _ACCUMULATED:
            yield launch


def compile_all(trials: Sequence[Trial], until: float) -> None:
    """Compile in several processes, which fill Triton's cache; errors appear when it is timed."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(_COMPILERS, usable_cores()), mp_context=context)
    waiting = [pool.submit(_compile, trial) for trial in trials]
    try:
        for _ in as_completed(waiting, timeout=max(1.0, until - time.monotonic())):
            pass
    except TimeoutError:
        print("not everything was compiled in time", flush=True)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@torch.inference_mode()
def _compile(trial: Trial) -> None:
    """Launch once; what is compiled does not depend on the numbers."""
    trial.run(trial.case.inputs(torch.bfloat16, torch.device("cuda"), 0))


@torch.inference_mode()
def _times(
    trials: Sequence[Trial], dtype: torch.dtype, device: torch.device, until: float, rounds: int
) -> list[tuple[Trial, float]]:
    """The median milliseconds of each trial that works."""
    times = []
    for trial in trials:
        if time.monotonic() > until:
            break
        inputs = trial.case.inputs(dtype, device, 0)
        try:
            trial.run(inputs)
            times.append((trial, _median(partial(trial.run, inputs), device, rounds)))
        except Exception as error:  # too much shared memory, or whatever a compiler raises
            print(f"{trial.case.name}, {trial.told}: {type(error).__name__}", flush=True)
    return times


def _median(run: Callable[[], object], device: torch.device, rounds: int) -> float:
    wait = synchronizer(device)
    return 1000 * statistics.median(timed(run, wait).wall for _ in range(rounds))


def _cases() -> list[Case]:
    """The most expensive cases first."""
    full, sam = tracker_cases("full", FULL_HD), refiner_cases("vit_h")
    return [
        *sorted(full["global_attention"], key=lambda case: -case.shapes[1][1]),
        *sam["position_attention"],
        *full["local_attention"],
        *full["deformable_sample"],
    ]
