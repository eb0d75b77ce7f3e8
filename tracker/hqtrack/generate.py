"""The command ``hqtrack generate``: synthetic sequences with exact masks, as folders on disk."""

import argparse
import shutil
from pathlib import Path

import cv2

from hqtrack.errors import InputError
from hqtrack.progress import progress_on_stderr
from hqtrack.synthetic import (
    FRAMES,
    MAX_OBJECTS,
    OBJECTS,
    RESERVED_SEED,
    SIZE,
    SyntheticSequence,
    generate,
)
from hqtrack.video import write_labels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack generate``."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the sequences are written")
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of the first sequence, the next one has the next; "
        f"from {RESERVED_SEED} on nothing was ever trained on (default: %(default)s)",
    )
    parser.add_argument("--sequences", type=int, default=1, help="how many (default: %(default)s)")
    parser.add_argument(
        "--objects",
        type=int,
        default=OBJECTS,
        help=f"in each sequence, 1 to {MAX_OBJECTS} (default: %(default)s)",
    )
    parser.add_argument(
        "--frames", type=int, default=FRAMES, help="in each sequence (default: %(default)s)"
    )
    parser.add_argument(
        "--size",
        type=parse_size,
        default=SIZE,
        metavar="WIDTHxHEIGHT",
        help=f"of the frames, in pixels (default: {SIZE[1]}x{SIZE[0]})",
    )


def run(args: argparse.Namespace) -> int:
    """Write DIR/synthetic_SEED/color and masks for each sequence."""
    if args.sequences < 1:
        raise InputError(f"--sequences {args.sequences}: give at least 1")
    with progress_on_stderr() as progress:
        task = progress.add_task("generating", total=args.sequences)
        for seed in range(args.seed, args.seed + args.sequences):
            sequence = generate(seed, args.frames, args.size, args.objects)
            write_sequence(args.folder / f"synthetic_{seed:07d}", sequence)
            progress.advance(task)
    return 0


def write_sequence(folder: Path, sequence: SyntheticSequence) -> None:
    """Write color/00000001.jpg, ... and masks/00000001.png, ... into a new folder.

    The folder appears when it is complete. Raises InputError where it is there already.
    """
    if folder.exists():
        raise InputError(f"{folder} is already there: remove it or give another folder")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for name in ("color", "masks"):
        (partial / name).mkdir(parents=True)
    for number, (image, labels) in enumerate(zip(*sequence, strict=True), start=1):
        pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
        (partial / "color" / f"{number:08d}.jpg").write_bytes(data.tobytes())
        write_labels(partial / "masks" / f"{number:08d}.png", labels)
    partial.rename(folder)


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) from WIDTHxHEIGHT; for argparse."""
    width, separator, height = text.partition("x")
    if not (separator and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: give it as 320x180")
    return int(height), int(width)
