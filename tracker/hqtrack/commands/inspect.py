"""The command ``hqtrack inspect``: writes a page about a recorded run."""

import argparse
from pathlib import Path

from hqtrack.records.page import find_record, write_page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack inspect``."""
    parser.add_argument(
        "record",
        type=Path,
        metavar="RECORD",
        help="a folder that `hqtrack run`, `score` or `debug` wrote with --record",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="HTML",
        help="the page to write (default: inspect.html in RECORD)",
    )


def run(args: argparse.Namespace) -> int:
    """Write the page and print its path."""
    output = args.output or args.record / "inspect.html"
    write_page(find_record(args.record), output)
    size = output.stat().st_size / 2**20
    print(f"{output} ({size:.1f} MiB): open it in a browser")
    return 0
