"""Options that several commands have."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hqtrack.errors import InputError
from hqtrack.presets import LIGHT, PUBLISHED_REFINER, REFINERS, RULE_NAMES, WITH_NETWORKS

if TYPE_CHECKING:  # slow to import, and most commands use a few of these options only
    from rich.console import Console

    from hqtrack.bench.pipeline import Setup
    from hqtrack.bench.record import Expectation
    from hqtrack.scoring.mosaic import Grid


def add_tracker_options(parser: argparse.ArgumentParser) -> None:
    """Add options for device, precision and weights of a tracker; see ``hqtrack.build``."""
    parser.add_argument("--device", help="cpu, cuda or cuda:1 (default: a GPU if there is one)")
    parser.add_argument(
        "--exact",
        action="store_true",
        help="use the reference float32 path: slower, but the same on every device",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="DIR",
        help="folder of checkpoints (default: see `hqtrack weights path`)",
    )


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Add the options for the networks of a tracker; see ``hqtrack.runs.choice``."""
    parser.add_argument(
        "--preset",
        choices=WITH_NETWORKS,
        help="the small or the published tracker (default: full if its weights are there)",
    )
    add_refiner(parser)


def add_refiner(parser: argparse.ArgumentParser) -> None:
    """Add the option for the HQ-SAM of a tracker; see ``hqtrack.build``."""
    parser.add_argument(
        "--refiner",
        choices=REFINERS,
        help="the HQ-SAM that refines masks: light for the light tracker, which has none by "
        "default, or another one for the full tracker",
    )


def add_rules(parser: argparse.ArgumentParser) -> None:
    """Add the option for the rules of a tracker; see ``hqtrack.rules``."""
    parser.add_argument(
        "--rules",
        choices=RULE_NAMES,
        help="rules of what is reported and remembered (default: those of the tracker)",
    )


def add_mask_shift(parser: argparse.ArgumentParser) -> None:
    """Add the option for the numbering of masks; see ``hqtrack.video.open_sequence``."""
    parser.add_argument(
        "--mask-shift",
        type=int,
        default=0,
        metavar="N",
        help="number of a frame minus the number of its mask: 1 if masks are numbered from 0 and "
        "frames from 1 (default: 0)",
    )


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) from WIDTHxHEIGHT; for argparse."""
    width, separator, height = text.partition("x")
    if not (separator and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: write it as 320x180")
    return int(height), int(width)


def parse_grid(text: str) -> "Grid":
    """The grid written as COLUMNSxROWS; for argparse."""
    from hqtrack.scoring.mosaic import Grid

    columns, separator, rows = text.partition("x")
    if not (separator and columns.isdecimal() and rows.isdecimal() and int(columns) * int(rows)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a grid: write it as 4x3, columns first")
    return Grid(int(columns), int(rows))


_OPTIONS: dict[str, dict[str, Any]] = {
    "preset": {
        "default": LIGHT.name,
        "help": f"{' or '.join(WITH_NETWORKS)} (default: {LIGHT.name})",
    },
    "variant": {
        "default": PUBLISHED_REFINER,
        "help": f"the HQ-SAM of the full preset, light for the light one, or none "
        f"(default: {PUBLISHED_REFINER}; the light preset has none)",
    },
    "size": {
        "type": parse_size,
        "default": (480, 854),
        "metavar": "WIDTHxHEIGHT",
        "help": "size of the frames (default: 854x480)",
    },
    "objects": {"type": int, "default": 5, "help": "number of objects, all visible (default: 5)"},
    "memory": {
        "type": int,
        "metavar": "FRAMES",
        "help": "frames in long-term memory (default: as many as the preset keeps)",
    },
    "device": {"help": "cpu, cuda or cuda:1 (default: a GPU if there is one)"},
    "dtype": {"help": "float32 or bfloat16 (default: the faster one on the device)"},
    "exact": {
        "action": "store_true",
        "help": "use the reference path, in float32 unless --dtype is given",
    },
}


def add_setup_arguments(
    parser: argparse.ArgumentParser, names: tuple[str, ...] = tuple(_OPTIONS), **defaults: object
) -> None:
    """Add options that select what to measure, with some other defaults; see ``setup_of``."""
    for name in names:
        options = dict(_OPTIONS[name])
        if name in defaults:
            options.update(default=defaults[name], help="(default: %(default)s)")
        parser.add_argument(f"--{name}", **options)


def setup_of(args: argparse.Namespace, **fixed: Any) -> "Setup":
    """The setup that the options and ``fixed`` describe; raises InputError if it is impossible."""
    from hqtrack.bench.pipeline import Setup

    return Setup(**({name: getattr(args, name) for name in _OPTIONS if name in args} | fixed))


def print_facts(console: "Console", setup: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Print the machine of a measurement, and the networks that had random weights."""
    console.print(
        f"{facts.get('gpu', facts['processor'])}, {facts['threads']} of {facts['cores']} cores, "
        f"torch {facts['torch']}"
    )
    if setup["stand_ins"]:
        console.print(f"random weights replace those of {', '.join(setup['stand_ins'])}")


def add_record_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for recording a measurement, and --json."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    group = parser.add_argument_group("record")
    group.add_argument(
        "--record", type=Path, metavar="DIR", help="save the result, e.g. in benchmarks/record"
    )
    group.add_argument(
        "--prediction", metavar="TEXT", help="what you expect; saved before measuring"
    )
    group.add_argument("--change", metavar="TEXT", default="", help="what you changed")


def expectation_of(args: argparse.Namespace) -> "Expectation | None":
    """The values of the options of ``add_record_arguments``; None without --record.

    Raises InputError for --record without --prediction, or if its folder does not exist.
    """
    from hqtrack.bench.record import Expectation

    if (args.record is None) != (args.prediction is None):
        raise InputError("--record and --prediction go together: give your prediction, too")
    if args.record is not None and not args.record.is_dir():
        raise InputError(f"there is no folder {args.record}: create it, or give another --record")
    return args.record and Expectation(args.record, args.change, args.prediction)
