"""Options that several commands have."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from hqtrack.errors import InputError
from hqtrack.scoring.mosaic import Grid

if TYPE_CHECKING:  # brings torch
    from hqtrack.bench.pipeline import Setup


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


def add_mask_shift(parser: argparse.ArgumentParser) -> None:
    """Add the option that says how masks are numbered; see ``hqtrack.video.open_sequence``."""
    parser.add_argument(
        "--mask-shift",
        type=int,
        default=0,
        metavar="N",
        help="what to add to the number of a mask to get the number of its frame: 1 for masks "
        "numbered from 0 beside frames numbered from 1 (default: 0)",
    )


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) from WIDTHxHEIGHT; for argparse."""
    width, separator, height = text.partition("x")
    if not (separator and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: give it as 320x180")
    return int(height), int(width)


def parse_grid(text: str) -> Grid:
    """The grid written as COLUMNSxROWS; for argparse."""
    columns, separator, rows = text.partition("x")
    if not (separator and columns.isdecimal() and rows.isdecimal() and int(columns) * int(rows)):
        raise argparse.ArgumentTypeError(f"{text!r} is no grid: give it as 4x3, columns first")
    return Grid(int(columns), int(rows))


_OPTIONS: dict[str, dict[str, Any]] = {
    "preset": {"default": "light", "help": "light or full (default: light)"},
    "variant": {
        "default": "vit_h",
        "help": "the HQ-SAM of the full preset, or none (default: vit_h)",
    },
    "size": {
        "type": parse_size,
        "default": (480, 854),
        "metavar": "WIDTHxHEIGHT",
        "help": "of the frames (default: 854x480)",
    },
    "objects": {"type": int, "default": 5, "help": "all in sight (default: 5)"},
    "memory": {
        "type": int,
        "metavar": "FRAMES",
        "help": "in long-term memory (default: as many as the preset keeps)",
    },
    "device": {"help": "where to compute: cpu, cuda, cuda:1 (default: the best)"},
    "dtype": {"help": "float32 or bfloat16 (default: what the device is good for)"},
    "exact": {
        "action": "store_true",
        "help": "compute plainly, and in float32 unless --dtype says else",
    },
}


def add_setup_arguments(
    parser: argparse.ArgumentParser, names: tuple[str, ...] = tuple(_OPTIONS), **defaults: object
) -> None:
    """Add options that say what to measure, some with another default; see ``setup_of``."""
    for name in names:
        options = dict(_OPTIONS[name])
        if name in defaults:
            options.update(default=defaults[name], help="(default: %(default)s)")
        parser.add_argument(f"--{name}", **options)


def setup_of(args: argparse.Namespace, **fixed: Any) -> "Setup":
    """The setup that the options describe, with what is fixed; raises InputError if impossible."""
    from hqtrack.bench.pipeline import Setup

    return Setup(**({name: getattr(args, name) for name in _OPTIONS if name in args} | fixed))


def print_facts(console: Console, setup: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Say on what was measured, and with which weights where they are not the real ones."""
    console.print(
        f"{facts.get('gpu', facts['processor'])}, {facts['threads']} of {facts['cores']} cores, "
        f"torch {facts['torch']}"
    )
    if setup["stand_ins"]:
        console.print(f"random weights stand in for {', '.join(setup['stand_ins'])}")


def add_record_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that a measurement needs to be recorded, and --json."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    group = parser.add_argument_group("record")
    group.add_argument(
        "--record", type=Path, metavar="DIR", help="keep the result, for example benchmarks/record"
    )
    group.add_argument(
        "--prediction", metavar="TEXT", help="what you expect; kept before anything is measured"
    )
    group.add_argument("--change", metavar="TEXT", default="", help="what was changed before")


def check_record(args: argparse.Namespace) -> None:
    """Raise InputError for --record without --prediction, or for a folder that is not there."""
    if (args.record is None) != (args.prediction is None):
        raise InputError("--record and --prediction go together: say first what you expect")
    if args.record is not None and not args.record.is_dir():
        raise InputError(f"there is no folder {args.record}: make it, or give another --record")
