"""The command ``hqtrack generate``: writes synthetic sequences with exact masks."""

import argparse
from pathlib import Path

from hqtrack.commands.options import parse_size
from hqtrack.errors import InputError
from hqtrack.progress import progress_on_stderr
from hqtrack.synthetic import (
    FRAMES,
    MAX_OBJECTS,
    OBJECTS,
    RESERVED_SEED,
    SIZE,
    generate,
)
from hqtrack.video.sequences import write_sequence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack generate``."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to write the sequences")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="seed of the first sequence; each further sequence uses the next seed. Training never "
        f"uses seeds from {RESERVED_SEED} on (default: %(default)s)",
    )
    parser.add_argument("--sequences", type=int, default=1, help="number of sequences (default: 1)")
    parser.add_argument(
        "--objects",
        type=int,
        default=OBJECTS,
        help=f"objects in each sequence, 1 to {MAX_OBJECTS} (default: %(default)s)",
    )
    parser.add_argument(
        "--frames", type=int, default=FRAMES, help="frames in each sequence (default: %(default)s)"
    )
    parser.add_argument(
        "--size",
        type=parse_size,
        default=SIZE,
        metavar="WIDTHxHEIGHT",
        help=f"size of the frames in pixels (default: {SIZE[1]}x{SIZE[0]})",
    )


def run(args: argparse.Namespace) -> int:
    """Write DIR/synthetic_SEED/color and masks for each sequence."""
    if args.sequences < 1:
        raise InputError(f"--sequences {args.sequences}: give at least 1")
    with progress_on_stderr() as progress:
        task = progress.add_task("generating", total=args.sequences)
        for seed in range(args.seed, args.seed + args.sequences):
            sequence = generate(seed, args.frames, args.size, args.objects)
            write_sequence(args.folder / f"synthetic_{seed:07d}", *sequence)
            progress.advance(task)
    return 0
