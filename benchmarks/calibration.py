"""Measures VMOS on a CPU in units of a fixed workload: `python -m benchmarks.calibration`.

The unit is attention of 2031 queries to the 6 x 6527 keys that six frames of 854x480 have at stride
8, in float32, with 64 channels in and 512 out, and with the scores and their softmax stored. We
chose it because with one thread the official code took 7.7 s for 6527 such queries and 23.0 s for
a complete frame with six frames in memory, so that a frame is 9.6 units. Another processor may
speed up attention by another factor than the rest of a frame. Rely on the numbers before and after
a change, on the same machine.
"""

import argparse

import torch

from benchmarks.report import Report, add_arguments, parse, ratios, run
from hqtrack.bench.measure import in_turn, synchronizer
from hqtrack.bench.pipeline import load_networks, rehearse
from hqtrack.commands.options import setup_of

QUERIES, KEYS, CHANNELS, VALUES = 2031, 6 * 6527, 64, 512
OFFICIAL_UNITS = 23.0 / (7.7 * QUERIES / 6527)


def make_workload() -> list[torch.Tensor]:
    """Queries [2031,64], keys [39162,64] and values [39162,512], from a seed."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((QUERIES, CHANNELS), (KEYS, CHANNELS), (KEYS, VALUES))
    return [torch.randn(shape, generator=generator) for shape in shapes]


@torch.inference_mode()
def calibrate(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """One unit of work."""
    return ((query * CHANNELS**-0.5) @ key.T).softmax(dim=-1) @ value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser, "size", "objects", "memory", "dtype", objects=2, memory=6)
    args = parse(parser)
    setup = setup_of(args, preset="full", variant="none", device="cpu")
    networks = load_networks(setup)
    report = Report(args, "calibration", setup, networks)
    work = make_workload()
    with rehearse(setup, networks) as rehearsal:
        runs = [lambda: calibrate(*work), rehearsal.frame]
        unit, frame = in_turn(runs, args.rounds, synchronizer(networks.device))
    report.show(
        {"unit": unit, "frame": frame},
        {"units of computing per frame": ratios(frame, unit, "cpu")},
        f"the official code: {OFFICIAL_UNITS:.1f} units",
    )


if __name__ == "__main__":
    run(main)
