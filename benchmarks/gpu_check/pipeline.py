"""Step 5: whole frames, in one process that loads the networks once."""

import copy
import statistics
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from benchmarks.gpu_check.found import CheckFailed, Found, Options
from hqtrack.bench.measure import MemoryMeter, spread, synchronizer, timed
from hqtrack.bench.pipeline import Networks, Setup, load_networks, rehearse
from hqtrack.compute.acceleration import PLAIN, Acceleration, accelerate, choose_acceleration
from hqtrack.compute.threads import limit_threads
from hqtrack.errors import InputError
from hqtrack.stages import Stage, StageClock, timing

OBJECTS = (1, 10, 50)
SIZES = ((480, 854), (720, 1280), (1440, 2560), (2160, 3840))


class Scale(NamedTuple):
    """What is measured: a setup, frames to warm up and to measure, and fewer for the variations."""

    setup: Setup
    warmup: int
    frames: int
    fewer: int
    objects: tuple[int, ...]
    sizes: tuple[tuple[int, int], ...]


FULL = Scale(Setup("full", "vit_h", (1080, 1920), 5, exact=True), 10, 30, 10, OBJECTS, SIZES)
TOY = Scale(Setup("light", "light", (48, 64), 2, device="cpu", exact=True), 1, 2, 1, (1,), ())


def check(options: Options, found: Found) -> None:
    """Raises CheckFailed where a way to compute that a GPU should have does not work."""
    limit_threads()
    scale = TOY if options.dry else FULL
    exact = load_networks(scale.setup)
    found.put("stand-ins", list(exact.stand_ins))
    ways: dict[str, dict[str, Any]] = {}
    for name, networks in variants(exact):
        ways[name] = measure(scale.setup, networks, scale.warmup, scale.frames)
        found.put("ways", ways)
        if name == "fast":
            found.put("stages", stages(scale.setup, networks, scale.fewer))
            vary(scale, networks, found)
    if "with graphs" not in ways:
        reason = "graphs need a GPU" if options.dry else "not all kernels work: see the log"
        found.put("ways", ways | {"with graphs": {"not run": reason}})
        if not options.dry:
            raise CheckFailed(reason)


def variants(exact: Networks) -> list[tuple[str, Networks]]:
    """Networks that compute in different ways, by the name of the way."""
    chosen = replace(choose_acceleration(exact.device), graphs=False)
    fast = accelerated(exact, chosen)
    found = [("fast", fast)]
    if fast.acceleration.kernels and fast.acceleration == chosen:
        found.append(("with graphs", accelerated(exact, replace(chosen, graphs=True))))
    alone = fast._replace(acceleration=replace(fast.acceleration, ahead=False))
    return [*found, ("without the second stream", alone), ("exact", exact)]


def accelerated(exact: Networks, acceleration: Acceleration) -> Networks:
    """Copies of the networks that compute like this."""
    networks = copy.deepcopy(exact.vmos), copy.deepcopy(exact.hqsam)
    if acceleration == PLAIN:
        return exact._replace(vmos=networks[0], hqsam=networks[1])
    used = accelerate(acceleration, *networks)
    return exact._replace(vmos=networks[0], hqsam=networks[1], acceleration=used)


def measure(setup: Setup, networks: Networks, warmup: int, frames: int) -> dict[str, Any]:
    """The milliseconds of a frame and its peak memory in MiB, in addition to the networks."""
    meter, wait = MemoryMeter(networks.device), synchronizer(networks.device)
    loaded = meter.now()
    meter.reset_peak()
    with rehearse(setup, networks) as rehearsal:
        for _ in range(warmup):
            rehearsal.frame()
        taken = [timed(rehearsal.frame, wait) for _ in range(frames)]
    peak = meter.peak()
    wall = spread([1000 * seconds.wall for seconds in taken])
    return {
        "ms": wall.median,
        "low": wall.low,
        "high": wall.high,
        "cpu ms": 1000 * statistics.median(seconds.cpu for seconds in taken),
        "peak MiB": None if loaded is None or peak is None else peak - loaded,
    }


def stages(setup: Setup, networks: Networks, frames: int) -> dict[str, float]:
    """The median milliseconds of each stage, none of which run at the same time."""
    clock = StageClock(synchronizer(networks.device))
    with rehearse(setup, networks) as rehearsal:
        rehearsal.frame()
        taken = []
        for _ in range(frames):
            with timing(clock):
                rehearsal.frame()
            taken.append(clock.take())
    return {str(s): 1000 * statistics.median(each[s] for each in taken) for s in Stage}


def vary(scale: Scale, networks: Networks, found: Found) -> None:
    """Other numbers of objects and other sizes of a frame; one that does not fit is told."""
    setups = {f"{n} objects": replace(scale.setup, objects=n) for n in scale.objects}
    setups |= {f"{w}x{h}": replace(scale.setup, size=(h, w)) for h, w in scale.sizes}
    results: dict[str, Any] = {}
    for name, setup in setups.items():
        try:
            results[name] = measure(setup, networks, 2, scale.fewer)
        except InputError as error:
            results[name] = {"failed": str(error)}
        found.put("variations", results)
        if networks.device.type == "cuda":
            torch.cuda.empty_cache()
