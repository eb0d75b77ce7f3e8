"""The command ``hqtrack warmup``: compiles the kernels for a GPU, once per machine."""

import argparse
import time
from pathlib import Path

from hqtrack.errors import MissingFileError
from hqtrack.presets import WITH_NETWORKS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack warmup``."""
    parser.add_argument("--device", help="cpu, cuda or cuda:1 (default: a GPU if there is one)")
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help="folder of checkpoints (default: see `hqtrack weights path`)",
    )


def run(args: argparse.Namespace) -> int:
    """Build every tracker whose weights are there, which compiles and caches its kernels."""
    from hqtrack.build import build_named, choose_device

    device = choose_device(args.device)
    if device.type != "cuda":
        print(f"there is nothing to compile for the device {device}")
        return 0
    for name in [preset.tracker for preset in WITH_NETWORKS.values()]:
        begin = time.perf_counter()
        try:
            build_named(name, device, args.weights)
        except MissingFileError as error:
            print(f"{name}: skipped: {error}")
        else:
            print(f"{name}: ready after {time.perf_counter() - begin:.1f} s")
    return 0
