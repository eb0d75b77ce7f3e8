"""The command ``hqtrack score``: measures quality and speed on annotated sequences."""

import argparse
import json
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hqtrack.commands.options import (
    add_mask_shift,
    add_refiner,
    add_rules,
    add_tracker_options,
    parse_grid,
    parse_size,
)
from hqtrack.errors import InputError
from hqtrack.presets import TRACKERS
from hqtrack.progress import speed_text
from hqtrack.records.record import Heading, Recorder
from hqtrack.scoring.annotated import Annotated, reserved_sequences
from hqtrack.scoring.mosaic import SIZE, make_mosaics
from hqtrack.scoring.score import (
    Observer,
    Score,
    mean_score,
    numbers,
    scorable,
    score_sequences,
)
from hqtrack.synthetic import MAX_OBJECTS, OBJECTS
from hqtrack.video import find_sequences


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack score``."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="folder of sequences: NAME/color/00000001.jpg, NAME/masks/00000001.png, ...",
    )
    parser.add_argument("--tracker", required=True, choices=TRACKERS, help="the tracker to score")
    _add_choice_of_sequences(parser)
    parser.add_argument(
        "--json", action="store_true", help="print one line of JSON instead of a table"
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="DIR",
        help="also save a record of each sequence for `hqtrack inspect DIR/NAME`",
    )
    add_tracker_options(parser)
    add_refiner(parser)
    add_rules(parser)


def _add_choice_of_sequences(parser: argparse.ArgumentParser) -> None:
    add_mask_shift(parser)
    parser.add_argument(
        "--generated",
        type=int,
        metavar="N",
        help="instead of a folder: N generated sequences, from seeds that training never uses",
    )
    parser.add_argument(
        "--objects",
        type=int,
        metavar="K",
        help=f"objects in each generated sequence, 1 to {MAX_OBJECTS} (default: {OBJECTS})",
    )
    parser.add_argument(
        "--mosaic",
        type=parse_grid,
        metavar="COLUMNSxROWS",
        help="show the sequences in the tiles of mosaics, for example 2x2 or 4x3; each sequence "
        "is used equally often",
    )
    parser.add_argument(
        "--blank",
        type=int,
        nargs="?",
        const=0,
        metavar="SEED",
        help="blank each tile of a mosaic for a while; the seed decides when (default: 0)",
    )
    parser.add_argument(
        "--size",
        type=parse_size,
        metavar="WIDTHxHEIGHT",
        help=f"size of a mosaic in pixels (default: {SIZE[1]}x{SIZE[0]})",
    )


def run(args: argparse.Namespace) -> int:
    """Score a tracker on the chosen sequences and print the result."""
    sequences = _chosen(args)
    # these import torch: load them only now
    from hqtrack.build import build_named
    from hqtrack.compute.threads import limit_threads

    limit_threads()
    tracker = build_named(
        args.tracker, args.device, args.weights, args.exact, args.rules, args.refiner
    )
    observer = None if args.record is None else partial(_recording, args.record, args.tracker)
    scores = score_sequences(tracker, sequences, observer)
    mean = mean_score(list(scores.values()))
    if args.json:
        names = {name: numbers(score) for name, score in scores.items()}
        print(json.dumps({**numbers(mean), "sequences": names}))
    else:
        for table in _tables(args.tracker, scores, mean):
            Console().print(table)
    return 0


def _chosen(args: argparse.Namespace) -> list[Annotated]:
    """The chosen sequences; raises InputError if options contradict each other."""
    if (args.folder is None) == (args.generated is None):
        raise InputError("give either a folder of sequences or --generated N")
    if args.generated is None and args.objects is not None:
        raise InputError("--objects applies only to --generated sequences: give both")
    if args.mosaic is None and (args.blank is not None or args.size is not None):
        raise InputError("--blank and --size apply only to a --mosaic: give one, for example 2x2")
    if args.generated is None:
        sequences = scorable(find_sequences(args.folder, args.mask_shift))
    else:
        objects = OBJECTS if args.objects is None else args.objects
        sequences = reserved_sequences(args.generated, objects)
    if args.mosaic is None:
        return sequences
    return make_mosaics(sequences, args.mosaic, args.size or SIZE, args.blank)


def _recording(folder: Path, tracker: str, sequence: Annotated, stack: ExitStack) -> Observer:
    """A function that records the frames of a sequence for ``hqtrack inspect``."""
    heading = Heading(sequence.name, tracker, {number: str(number) for number in sequence.objects})
    return stack.enter_context(Recorder(folder / sequence.name, heading)).write


def _tables(title: str, scores: dict[str, Score], mean: Score) -> Iterator[Table]:
    """A table of J, F and speed, and a table of the measures of VOTS."""
    rows = {**{name: numbers(score) for name, score in scores.items()}, "mean": numbers(mean)}
    names = list(rows["mean"])
    for heading, columns in ((title, names[:3]), (f"{title}, VOTS measures", names[3:])):
        table = Table("sequence", title=heading)
        for column in columns:
            table.add_column(column, justify="right")
        for name, row in rows.items():
            if name == "mean":
                table.add_section()
            table.add_row(name, *(_cell(column, row[column]) for column in columns))
        yield table


def _cell(measure: str, value: float | None) -> str:
    if value is None:
        return ""
    return speed_text(value, 2).removesuffix(" fps") if measure == "fps" else f"{value:.3f}"
