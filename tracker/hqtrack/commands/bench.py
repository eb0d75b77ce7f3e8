"""The command ``hqtrack bench``: measures time per stage and memory on this machine."""

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from hqtrack.bench.record import begin
from hqtrack.commands.options import (
    add_record_arguments,
    add_setup_arguments,
    expectation_of,
    print_facts,
    setup_of,
)
from hqtrack.errors import InputError
from hqtrack.progress import speed_text

if TYPE_CHECKING:  # brings torch
    from hqtrack.bench.measure import FrameCost, Spread


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack bench``."""
    add_setup_arguments(parser)
    parser.add_argument("--frames", type=int, default=5, help="frames to measure (default: 5)")
    parser.add_argument(
        "--warmup", type=int, default=2, help="frames before measuring (default: 2)"
    )
    add_record_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print; returns 0, or raises InputError if that is impossible."""
    expected = expectation_of(args)
    if args.frames < 1 or args.warmup < 0:
        raise InputError("--frames must be at least 1 and --warmup at least 0")
    from hqtrack.bench.measure import describe, machine, measure_frames, measure_start
    from hqtrack.bench.pipeline import load_networks
    from hqtrack.compute.threads import limit_threads

    setup = setup_of(args)
    limit_threads()
    networks = load_networks(setup)
    described, facts = describe(setup, networks), machine(networks.device)
    finish = begin(expected, "frame", described, facts)
    cost = measure_frames(setup, networks, args.frames, args.warmup)
    start = measure_start(setup, networks)
    result = {**_numbers(cost), "start_s": start}
    finish({"ms": cost.frame.median, "start s": start}, result)
    if args.json:
        print(json.dumps({"setup": described, "machine": facts, **result}))
        return 0
    console = Console()
    console.print(_table(described, cost))
    print_facts(console, described, facts)
    console.print(f"start-up {start:.1f} s; {_memory(cost)}")
    return 0


def _numbers(cost: "FrameCost") -> dict[str, Any]:
    """The cost as a JSON object."""
    return {
        "frame_ms": cost.frame._asdict(),
        "cpu_ms": cost.cpu._asdict(),
        "stages_ms": {str(stage): times._asdict() for stage, times in cost.stages.items()},
        "staged_ms": cost.staged._asdict(),
        "held_mib": cost.held,
        "peak_mib": cost.peak,
    }


def _table(setup: Mapping[str, Any], cost: "FrameCost") -> Table:
    title = ", ".join(str(setup[name]) for name in ("preset", "variant", "size") if setup[name])
    counted = f"objects {setup['objects']}, frames in memory {setup['memory']}"
    table = Table("stage", title=f"{title}, {counted}, {setup['device']} {setup['dtype']}")
    for column in ("ms", "lowest", "highest", "share"):
        table.add_column(column, justify="right")
    whole = cost.staged.median
    for stage, times in cost.stages.items():
        table.add_row(stage, *_cells(times), f"{times.median / whole:.1%}")
    other = whole - sum(times.median for times in cost.stages.values())
    table.add_row("other", f"{other:.1f}", "", "", f"{other / whole:.1%}")
    table.add_section()
    table.add_row("frame, stage by stage", *_cells(cost.staged), "100.0%")
    table.add_row("frame", *_cells(cost.frame), speed_text(1000 / cost.frame.median, 2))
    table.add_row("CPU, all threads", *_cells(cost.cpu), "")
    return table


def _cells(times: "Spread") -> tuple[str, ...]:
    return tuple(f"{value:.1f}" for value in times)


def _memory(cost: "FrameCost") -> str:
    if cost.held is None or cost.peak is None:
        return "memory is measured only on Linux and on GPUs"
    return (
        f"memory in addition to the loaded networks: {cost.peak:.0f} MiB at most, "
        f"{cost.held:.0f} MiB between frames"
    )
