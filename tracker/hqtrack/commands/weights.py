"""The command ``hqtrack weights``: lists, downloads and verifies the weights of the networks."""

import argparse
import sys

from hqtrack.presets import FULL
from hqtrack.weights import checkpoints


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `hqtrack weights`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser(
        "list", help="show each checkpoint, its size, licence and page, and whether it is there"
    )
    path = actions.add_parser("path", help="print the path of a file; without NAME, the folder")
    path.add_argument("name", metavar="NAME", nargs="?")
    verification = actions.add_parser(
        "verify", help="verify files; without NAME, all that are there"
    )
    verification.add_argument("names", metavar="NAME", nargs="*")
    fetching = actions.add_parser(
        "download",
        help=f"download files; without NAME, those of HQTrack: {' and '.join(FULL.checkpoints())}",
    )
    fetching.add_argument("names", metavar="NAME", nargs="*")


def run(args: argparse.Namespace) -> int:
    """Run the action; return the exit code."""
    match args.action:
        case "list":
            _print_list()
        case "path":
            print(checkpoints.find(args.name) if args.name else checkpoints.folder())
        case "verify":
            for name in args.names or [
                name for name in checkpoints.KNOWN if checkpoints.KNOWN[name].path().is_file()
            ]:
                print(f"{name}: {checkpoints.verify(name)} is intact")
        case "download":
            for name in args.names or FULL.checkpoints():
                print(f"{name}: licence {checkpoints.known(name).licence}", file=sys.stderr)
                print(checkpoints.fetch(name))
    return 0


def _print_list() -> None:
    """Print a line per checkpoint: name, whether it is there, file, size, licence, page."""
    rows = [
        (
            checkpoint.name,
            "present" if checkpoint.path().is_file() else "missing",
            checkpoint.file,
            _size(checkpoint),
            checkpoint.licence,
            checkpoint.source.page if checkpoint.source else "part of hqtrack",
        )
        for checkpoint in checkpoints.KNOWN.values()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )
    print(f"folder: {checkpoints.folder()}", file=sys.stderr)


def _size(checkpoint: checkpoints.Checkpoint) -> str:
    """The size of the file, or what it will be about."""
    if checkpoint.path().is_file():
        return f"{checkpoint.path().stat().st_size / 1e6:.0f} MB"
    return f"about {checkpoint.megabytes} MB"
