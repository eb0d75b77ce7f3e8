"""Measures how close a frame comes to the roofline: `python -m benchmarks.roofline`.

The roofline of a frame is the time of its convolutions and matrix products at the throughput that
one large matrix product reaches on the same device in the same type. With --profile, this prints
the slowest operators and writes a trace, which a browser shows at chrome://tracing.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.report import run
from benchmarks.tensors import Phase, compute
from hqtrack.bench.measure import (
    FrameCost,
    describe,
    machine,
    measure_frames,
    product_throughput,
    synchronizer,
)
from hqtrack.bench.pipeline import Networks, Setup, load_networks, rehearse
from hqtrack.bench.record import begin
from hqtrack.commands.options import (
    add_record_arguments,
    add_setup_arguments,
    expectation_of,
    print_facts,
    setup_of,
)
from hqtrack.compute.threads import limit_threads
from hqtrack.errors import InputError
from hqtrack.stages import Stage

_STAGES = {
    Stage.ENCODE: ("encode",),
    Stage.PROPAGATE: ("propagate", "memorize"),
    Stage.SAM_ENCODE: ("SAM-encode",),
    Stage.SAM_DECODE: ("SAM-decode",),
}
"""The phases of `benchmarks.tensors` in each stage."""


class Share(NamedTuple):
    """Floating-point operations, their milliseconds at the roofline, and their measured ones."""

    flop: int
    roofline: float
    ms: float


def shares(phases: dict[str, Phase], cost: FrameCost, throughput: float) -> dict[str, Share]:
    """The share of every stage of convolutions and matrix products, and of the frame."""
    found = {}
    for stage, names in _STAGES.items():
        flop = sum(phases[name].flop for name in names if name in phases)
        found[str(stage)] = Share(flop, 1000 * flop / throughput, cost.stages[stage].median)
    flop = sum(share.flop for share in found.values())
    return {**found, "frame": Share(flop, 1000 * flop / throughput, cost.frame.median)}


def profile(setup: Setup, networks: Networks, path: Path) -> str:
    """Trace three frames; returns the slowest operators as text."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if networks.device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with rehearse(setup, networks) as rehearsal:
        rehearsal.frame()
        with torch.profiler.profile(activities=activities) as profiler:
            for _ in range(3):
                rehearsal.frame()
            synchronizer(networks.device)()
    profiler.export_chrome_trace(str(path))
    order = f"self_{networks.device.type}_time_total"
    return profiler.key_averages().table(sort_by=order, row_limit=20, max_name_column_width=50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_setup_arguments(parser, preset="full", size=(1080, 1920))
    parser.add_argument("--frames", type=int, default=20, help="frames to measure (default: 20)")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="write a trace")
    add_record_arguments(parser)
    args = parser.parse_args()
    expected = expectation_of(args)
    setup = setup_of(args)
    if setup.preset != "full" or args.frames < 1:
        raise InputError("the roofline is known for the full preset, and --frames is at least 1")
    limit_threads()
    networks = load_networks(setup)
    described, facts = describe(setup, networks), machine(networks.device)
    finish = begin(expected, "roofline", described, facts)
    throughput = product_throughput(networks.device, networks.acceleration.dtype)
    cost = measure_frames(setup, networks, args.frames, warmup=5)
    found = shares(compute(setup), cost, throughput)
    frame = found["frame"]
    finish(
        {"fps": 1000 / frame.ms, "share of the roofline": frame.roofline / frame.ms},
        {"throughput": throughput, **{name: share._asdict() for name, share in found.items()}},
    )
    table = Table(*("stage", "TFLOP", "roofline, ms", "ms", "share"), title="share of the roofline")
    for name, (flop, roofline, ms) in found.items():
        share = f"{roofline / ms:.0%}" if ms else ""
        table.add_row(name, f"{flop / 1e12:.2f}", f"{roofline:.1f}", f"{ms:.1f}", share)
    console = Console()
    console.print(table)
    console.print(
        f"{1000 / frame.ms:.1f} fps; a matrix product reaches {throughput / 1e12:.2f} TFLOP/s"
    )
    print_facts(console, described, facts)
    if args.profile is not None:
        print(profile(setup, networks, args.profile))


if __name__ == "__main__":
    run(main)
