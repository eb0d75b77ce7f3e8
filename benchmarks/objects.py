"""Measures the cost of more objects, alternating: `python -m benchmarks.objects`.

It measures complete frames of the released pipeline, from reading the file to the regions of the
reply, with every object visible.
"""

import argparse
from contextlib import ExitStack
from dataclasses import replace

from benchmarks.report import Report, add_arguments, parse, ratios, run
from hqtrack.bench.measure import clock_of, in_turn, synchronizer
from hqtrack.bench.pipeline import load_networks, rehearse
from hqtrack.commands.options import setup_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(
        parser,
        "preset",
        "variant",
        "size",
        "memory",
        "device",
        "dtype",
        "exact",
        preset="full",
        variant="vit_b",
    )
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 10], help="(default: 1 10)")
    args = parse(parser)
    counts = args.objects
    args.objects = max(counts)
    setup = setup_of(args)
    networks = load_networks(setup)
    report = Report(args, "objects", setup, networks)
    with ExitStack() as stack:
        setups = [replace(setup, objects=count) for count in counts]
        rehearsals = [stack.enter_context(rehearse(one, networks)) for one in setups]
        frames = [rehearsal.frame for rehearsal in rehearsals]
        times = in_turn(frames, args.rounds, synchronizer(networks.device))
    clock = clock_of(networks.device)
    first, *others = zip(counts, times, strict=True)
    report.show(
        {f"objects: {count}": taken for count, taken in zip(counts, times, strict=True)},
        {
            f"{count} to {first[0]}, {clock} time": ratios(taken, first[1], clock)
            for count, taken in others
        },
    )


if __name__ == "__main__":
    run(main)
