"""Measures the peak memory of VMOS in addition to its weights: `python -m benchmarks.memory`.

Memory is full. `python -m benchmarks.growth` measures whether it stays flat over a long video,
`python -m benchmarks.tensors` computes what does not fit into the machine at hand.
"""

import argparse

from benchmarks.report import Report, add_arguments, parse, run
from hqtrack.bench.measure import MemoryMeter, clock_of, spread, synchronizer, timed
from hqtrack.bench.pipeline import Networks, Setup, load_networks, rehearse
from hqtrack.commands.options import setup_of
from hqtrack.errors import InputError


def measure(setup: Setup, networks: Networks) -> dict[str, float]:
    """MiB in addition to the loaded networks, between frames and at most; seconds of a frame."""
    meter, wait = MemoryMeter(networks.device), synchronizer(networks.device)
    loaded = meter.now()
    meter.reset_peak()
    with rehearse(setup, networks) as rehearsal:
        seconds = timed(rehearsal.frame, wait)
        peak, held = meter.peak(), meter.now()
    if loaded is None or peak is None or held is None:
        raise InputError("this system does not report the memory of a process: use Linux")
    return {
        "peak MiB": peak - loaded,
        "held MiB": held - loaded,
        "frame s": getattr(seconds, clock_of(networks.device)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(
        parser,
        "size",
        "objects",
        "memory",
        "device",
        "dtype",
        "exact",
        size=(1041, 1041),
        objects=10,
    )
    args = parse(parser)
    setup = setup_of(args, preset="full", variant="none")
    networks = load_networks(setup)
    report = Report(args, "memory", setup, networks)
    found = measure(setup, networks)
    report.show({}, {name: spread([value]) for name, value in found.items()})


if __name__ == "__main__":
    run(main)
