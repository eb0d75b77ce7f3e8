"""The command ``hqtrack warmup``: compile what a GPU needs, once per machine."""

import argparse
import time
from pathlib import Path

from hqtrack.errors import MissingFileError

_TRACKERS = ("HQTrackLight", "HQTrack")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack warmup``."""
    parser.add_argument("--device", help="where to compute: cpu, cuda, cuda:1 (default: the best)")
    parser.add_argument(
        "--weights", type=Path, metavar="DIR", help="folder of checkpoints (default: the usual one)"
    )


def run(args: argparse.Namespace) -> int:
    """Build every tracker whose weights are here: that compiles, and caches, its kernels."""
    from hqtrack.build import build_named, choose_device

    device = choose_device(args.device)
    if device.type != "cuda":
        print(f"there is nothing to compile for the device {device}")
        return 0
    for name in _TRACKERS:
        begin = time.perf_counter()
        try:
            build_named(name, device, args.weights)
        except MissingFileError as error:
            print(f"{name}: left out: {error}")
        else:
            print(f"{name}: ready after {time.perf_counter() - begin:.1f} s")
    return 0
