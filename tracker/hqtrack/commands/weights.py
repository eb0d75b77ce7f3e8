"""The command ``hqtrack weights``: list, fetch and check the weights of the networks."""

import argparse
import sys

from hqtrack.weights import checkpoints


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `hqtrack weights`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="what there is, under which licence, and whether it is here")
    path = actions.add_parser("path", help="print where a file lies; without NAME, the folder")
    path.add_argument("name", metavar="NAME", nargs="?")
    verification = actions.add_parser("verify", help="check files; without NAME, all that are here")
    verification.add_argument("names", metavar="NAME", nargs="*")
    fetching = actions.add_parser(
        "download",
        help=f"fetch files; without NAME, those of HQTrack: {' and '.join(checkpoints.PUBLISHED)}",
    )
    fetching.add_argument("names", metavar="NAME", nargs="*")


def run(args: argparse.Namespace) -> int:
    """Do what `hqtrack weights` was asked; return the exit code."""
    match args.action:
        case "list":
            _print_list()
        case "path":
            print(checkpoints.find(args.name) if args.name else checkpoints.folder())
        case "verify":
            for name in args.names or [
                name for name in checkpoints.KNOWN if checkpoints.KNOWN[name].path().is_file()
            ]:
                print(f"{name}: {checkpoints.verify(name)} is whole")
        case "download":
            for name in args.names or checkpoints.PUBLISHED:
                print(f"{name}: licence {checkpoints.known(name).licence}", file=sys.stderr)
                print(checkpoints.fetch(name))
    return 0


def _print_list() -> None:
    """One line per checkpoint: name, whether it is here, file, licence, where it comes from."""
    rows = [
        (
            checkpoint.name,
            "present" if checkpoint.path().is_file() else "missing",
            checkpoint.file,
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
