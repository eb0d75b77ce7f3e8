"""Measures time per stage, memory and start-up."""

import ctypes
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch

from hqtrack.bench.pipeline import Networks, Setup, rehearse, save_networks
from hqtrack.compute.threads import usable_cores
from hqtrack.errors import InputError
from hqtrack.stages import Stage, StageClock, timing

_MEBIBYTE = 2**20


class Spread(NamedTuple):
    """The median, the lowest and the highest of some measurements."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


class MemoryMeter:
    """Memory in use, in MiB: torch's tensors on a GPU, else the resident memory of the process.

    The resident memory is known only on Linux.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def now(self) -> float | None:
        """The memory in use, after malloc has returned its free memory to the system."""
        if self._device.type == "cuda":
            return torch.cuda.memory_allocated(self._device) / _MEBIBYTE
        if sys.platform == "linux":
            ctypes.CDLL(None).malloc_trim(0)
        return _resident("VmRSS")

    def reset_peak(self) -> None:
        """Reset the peak to the memory in use now."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        elif sys.platform == "linux":
            Path("/proc/self/clear_refs").write_text("5")

    def peak(self) -> float | None:
        """The peak memory since ``reset_peak``."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / _MEBIBYTE
        return _resident("VmHWM")


def _resident(field: str) -> float | None:
    if sys.platform != "linux":
        return None
    (kibibytes,) = re.findall(rf"^{field}:\s+(\d+)", Path("/proc/self/status").read_text(), re.M)
    return int(kibibytes) / 1024


def synchronizer(device: torch.device) -> Callable[[], None]:
    """A function that waits until the device has finished its work."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None


class FrameCost(NamedTuple):
    """The cost of a frame: elapsed milliseconds, and CPU milliseconds summed over threads.

    ``stages`` come from other frames, with a synchronization at each border of a stage; ``staged``
    is the elapsed time of such a frame. Memory is in MiB in addition to the loaded networks, None
    if unknown: ``held`` between frames, ``peak`` at most.
    """

    frame: Spread
    cpu: Spread
    stages: dict[Stage, Spread]
    staged: Spread
    held: float | None
    peak: float | None


def measure_frames(setup: Setup, networks: Networks, frames: int, warmup: int) -> FrameCost:
    """Track ``frames`` frames normally and, alternating with them, as many stage by stage."""
    meter, wait = MemoryMeter(networks.device), synchronizer(networks.device)
    loaded = meter.now()
    meter.reset_peak()
    clock = StageClock(wait)
    walls, cpus, staged, taken = [], [], [], []
    with rehearse(setup, networks) as plain:
        for _ in range(max(1, warmup)):
            plain.frame()
        held, peak = meter.now(), meter.peak()
        with rehearse(setup, networks) as watched:
            for _ in range(warmup):
                watched.frame()
            for _ in range(frames):
                wall, cpu = timed(plain.frame, wait)
                walls.append(1000 * wall)
                cpus.append(1000 * cpu)
                with timing(clock):
                    staged.append(1000 * timed(watched.frame, wait).wall)
                taken.append(clock.take())
    stages = {stage: spread([1000 * seconds[stage] for seconds in taken]) for stage in Stage}
    over = [None if loaded is None or used is None else used - loaded for used in (held, peak)]
    return FrameCost(spread(walls), spread(cpus), stages, spread(staged), *over)


class Seconds(NamedTuple):
    """Elapsed seconds, and CPU seconds summed over threads."""

    wall: float
    cpu: float


def timed(run: Callable[[], object], wait: Callable[[], None]) -> Seconds:
    """The time of ``run`` until the device has finished."""
    wait()
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    wait()
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def in_turn(
    runs: Sequence[Callable[[], object]], rounds: int, wait: Callable[[], None]
) -> list[list[Seconds]]:
    """Times of each of ``runs``, which alternate in every round, after one round to warm up.

    Other load on the machine affects all of them equally, so their ratios are reliable.
    """
    times: list[list[Seconds]] = [[] for _ in runs]
    for turn in range(rounds + 1):
        for run, taken in zip(runs, times, strict=True):
            seconds = timed(run, wait)
            if turn:
                taken.append(seconds)
    return times


class Cost(NamedTuple):
    """The cost of frames: milliseconds, and the peak so far in MiB, if known.

    Milliseconds are CPU time on a CPU, where other processes do not disturb it, else elapsed time.
    The peak is in addition to the loaded networks.
    """

    ms: Spread
    mib: float | None


def watch_frames(
    setup: Setup, networks: Networks, marks: Sequence[int], window: int, filled: bool
) -> Iterator[tuple[int, Cost]]:
    """Track until the last of ``marks``; yield for each mark the cost of the frames before it.

    ``window``: the number of frames before a mark; ``filled``: see ``rehearse``.
    """
    meter, wait = MemoryMeter(networks.device), synchronizer(networks.device)
    recent: deque[float] = deque(maxlen=window)
    loaded = meter.now()
    meter.reset_peak()
    with rehearse(setup, networks, filled) as rehearsal:
        for number in range(1, max(marks) + 1):
            seconds = timed(rehearsal.frame, wait)
            recent.append(1000 * getattr(seconds, clock_of(networks.device)))
            if number in marks:
                peak = meter.peak()
                over = None if peak is None or loaded is None else peak - loaded
                yield number, Cost(spread(recent), over)


def clock_of(device: torch.device) -> str:
    """The field of ``Seconds`` that is reliable if other processes use the machine, too."""
    return "cpu" if device.type == "cpu" else "wall"


def measure_start(setup: Setup, networks: Networks) -> float:
    """Seconds until a new process has imported everything and loaded the networks from files."""
    program = (
        "import sys; from pathlib import Path; "
        "from hqtrack.bench.pipeline import Setup, load_networks; "
        f"load_networks({setup!r}, Path(sys.argv[1]))"
    )
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryDirectory(prefix="hqtrack-bench-") as folder:
        save_networks(setup, networks, Path(folder))
        command = [sys.executable, "-c", program, folder]
        begin = time.perf_counter()
        ended = subprocess.run(command, env={**os.environ, **paths}, capture_output=True, text=True)
        seconds = time.perf_counter() - begin
    if ended.returncode:
        raise InputError(f"the networks cannot be loaded a second time: {ended.stderr.strip()}")
    return seconds


_SIDES = {"cuda": 8192, "cpu": 1024}


def product_throughput(device: torch.device, dtype: torch.dtype, rounds: int = 10) -> float:
    """Floating-point operations per second of a large matrix product, the best of ``rounds``."""
    side = _SIDES[device.type]
    factor = torch.randn(side, side, device=device, dtype=dtype)
    wait = synchronizer(device)
    seconds = [timed(lambda: factor @ factor, wait).wall for _ in range(rounds)]
    return 2 * side**3 / min(seconds)


def machine(device: torch.device) -> dict[str, Any]:
    """Facts about the machine that affect the result, without anything that identifies it."""
    facts = {
        "processor": _processor(),
        "cores": usable_cores(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    if device.type == "cuda":
        facts["gpu"] = torch.cuda.get_device_name(device)
    return facts


def _processor() -> str:
    try:
        names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def describe(setup: Setup, networks: Networks) -> dict[str, Any]:
    """The setup with its defaults filled in, as a JSON object."""
    height, width = setup.size
    return {
        **asdict(setup),
        "variant": setup.variant if setup.refined else None,
        "size": f"{width}x{height}",
        "memory": setup.memory_frames,
        "device": networks.device.type,
        "dtype": str(networks.acceleration.dtype).removeprefix("torch."),
        "kernels": networks.acceleration.kernels,
        "stand_ins": list(networks.stand_ins),
    }
