"""Options that several commands have."""

import argparse
from pathlib import Path


def add_tracker_options(parser: argparse.ArgumentParser) -> None:
    """Add where and how a tracker computes, and its weights; see ``hqtrack.build``."""
    parser.add_argument("--device", help="where to compute: cpu, cuda, cuda:1 (default: the best)")
    parser.add_argument(
        "--exact",
        action="store_true",
        help="compute plainly and in float32: slower, and the same everywhere",
    )
    parser.add_argument(
        "--weights", type=Path, metavar="DIR", help="folder of checkpoints (default: the usual one)"
    )
