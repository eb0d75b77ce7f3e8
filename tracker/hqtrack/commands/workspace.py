"""The command ``hqtrack workspace``: makes a VOT workspace from a folder of sequences."""

import argparse
from pathlib import Path

from hqtrack.commands.options import add_mask_shift
from hqtrack.evaluation.make_workspace import make_workspace
from hqtrack.progress import progress_on_stderr
from hqtrack.video import find_sequences


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack workspace``."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="the workspace to make")
    parser.add_argument(
        "--sequences",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="contains NAME/color/00000001.jpg, ... and NAME/masks/00000001.png, ...",
    )
    parser.add_argument(
        "--registry",
        type=Path,
        metavar="INI",
        help="the toolkit's list of trackers (default: trackers.ini of the checkout; without a "
        "checkout, one in the workspace)",
    )
    parser.add_argument(
        "--copy", action="store_true", help="copy the frames instead of linking them"
    )
    add_mask_shift(parser)


def run(args: argparse.Namespace) -> int:
    """Make the workspace and print the command that evaluates in it."""
    sequences = find_sequences(args.sequences, args.mask_shift)
    with progress_on_stderr() as progress:
        tracked = progress.track(sequences, description="writing")
        make_workspace(args.folder, tracked, args.registry, copy=args.copy)
    print(f"vot evaluate --workspace {args.folder} HQTrackLight")
    return 0
