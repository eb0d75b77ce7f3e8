"""The command ``hqtrack score``: how well and how fast a tracker follows annotated sequences."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from rich.console import Console
from rich.table import Table

from hqtrack.annotated import Annotated, OnDisk, reserved_sequences
from hqtrack.errors import InputError
from hqtrack.generate import parse_size
from hqtrack.measures import boundary_measure, region_similarity
from hqtrack.mosaic import SIZE, make_mosaics, parse_grid
from hqtrack.options import add_tracker_options
from hqtrack.progress import progress_on_stderr
from hqtrack.record import Heading, Observed, Recorder, Truth
from hqtrack.synthetic import MAX_OBJECTS, OBJECTS
from hqtrack.tracker import Tracker, last_step
from hqtrack.video import Sequence, find_sequences
from hqtrack.vots_measures import Analysed, Tracks, VotsMeasures, analyse, join

Observer: TypeAlias = Callable[[Observed], None]

TRACKERS = ("HQTrackLight", "HQTrack", "FirstMask")
"""What can be scored by name; see ``hqtrack.build.build_named``."""


def _ignore(observed: Observed) -> None:
    pass


@dataclass(frozen=True)
class Score:
    """Region similarity (J) and boundary measure (F) in [0, 1], VOTS measures, and speed.

    ``seconds`` is the time spent inside ``track`` for ``frames`` frames: showing the first frame,
    reading files and measuring are left out.
    """

    region: float
    boundary: float
    analysed: Analysed
    frames: int
    seconds: float

    @property
    def fps(self) -> float:
        """Frames tracked per second."""
        return self.frames / self.seconds

    @cached_property
    def vots(self) -> VotsMeasures:
        """The measures of VOTS."""
        return self.analysed.measures()


def score_sequence(
    tracker: Tracker,
    sequence: Annotated,
    advance: Callable[[], None] = lambda: None,
    observe: Observer = _ignore,
) -> Score:
    """Track the objects of the first frame; mean of J and F over frames, then objects.

    As in DAVIS, J and F leave out the first and the last frame, so the sequence needs at least
    three; the measures of VOTS are over all of them. ``advance`` is called after each frame that
    is tracked, ``observe`` with every frame that is shown. Raises InputError for images or label
    maps that cannot be read or differ in size.
    """
    frames = enumerate(sequence.read(), start=1)
    _, first = next(frames)
    tracker.initialize(first.image, first.masks)
    tracks = Tracks(first.masks)
    sure = np.ones(len(first.masks), np.float32)
    observe(Observed(1, first.name, first.image, sequence.objects, first.masks, sure))
    regions, boundaries, seconds = [], [], 0.0
    for number, frame in frames:
        start = time.perf_counter()
        tracked = tracker.track(frame.image)
        seconds += time.perf_counter() - start
        tracks.add(frame.masks, tracked.masks)
        regions.append(region_similarity(tracked.masks, frame.masks))
        boundaries.append(boundary_measure(tracked.masks, frame.masks))
        compared = Truth(frame.masks, regions[-1], boundaries[-1])
        shown = (number, frame.name, frame.image, sequence.objects)
        observe(Observed(*shown, *tracked, last_step(tracker), compared))
        advance()
    region, boundary = (float(np.mean(each[:-1], dtype="f8")) for each in (regions, boundaries))
    return Score(region, boundary, analyse(tracks), len(regions), seconds)


def mean_score(scores: list[Score]) -> Score:
    """The mean of J, F and VOTS measures over sequences, with all their frames and seconds."""
    return Score(
        region=float(np.mean([score.region for score in scores])),
        boundary=float(np.mean([score.boundary for score in scores])),
        analysed=join([score.analysed for score in scores]),
        frames=sum(score.frames for score in scores),
        seconds=sum(score.seconds for score in scores),
    )


def numbers(score: Score) -> dict[str, float | None]:
    """The measures by the names that tables and JSON use; ADQ is None where nothing was absent."""
    quality, accuracy, robustness, nre, dre, adq = score.vots
    return {
        "J": score.region,
        "F": score.boundary,
        "fps": score.fps,
        "Quality": quality,
        "accuracy": accuracy,
        "robustness": robustness,
        "NRE": nre,
        "DRE": dre,
        "ADQ": adq,
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack score``."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="folder of sequences: NAME/color/00000001.jpg, NAME/masks/00000001.png, ...",
    )
    parser.add_argument("--tracker", required=True, choices=TRACKERS, help="what to score")
    _add_choice_of_sequences(parser)
    parser.add_argument(
        "--json", action="store_true", help="print one line of JSON instead of a table"
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="DIR",
        help="also keep what `hqtrack inspect DIR/NAME` shows",
    )
    add_tracker_options(parser)


def _add_choice_of_sequences(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--generated",
        type=int,
        metavar="N",
        help="instead of a folder: N generated sequences, from seeds that nothing is trained on",
    )
    parser.add_argument(
        "--objects",
        type=int,
        metavar="K",
        help=f"in each generated sequence, 1 to {MAX_OBJECTS} (default: {OBJECTS})",
    )
    parser.add_argument(
        "--mosaic",
        type=parse_grid,
        metavar="COLUMNSxROWS",
        help="put the sequences side by side, as 2x2 or 4x3, in as many mosaics as use each "
        "equally often",
    )
    parser.add_argument(
        "--blank",
        type=int,
        nargs="?",
        const=0,
        metavar="SEED",
        help="let each tile of a mosaic go blank for a while (seed of when: 0 unless given)",
    )
    parser.add_argument(
        "--size",
        type=parse_size,
        metavar="WIDTHxHEIGHT",
        help=f"of a mosaic, in pixels (default: {SIZE[1]}x{SIZE[0]})",
    )


def run(args: argparse.Namespace) -> int:
    """Score a tracker over the sequences asked for and print the result."""
    sequences = _chosen(args)
    # torch comes with it: not before it is needed
    from hqtrack.build import build_named
    from hqtrack.threads import limit_threads

    limit_threads()
    tracker = build_named(args.tracker, device=args.device, weights=args.weights, exact=args.exact)
    scores = score_sequences(tracker, sequences, partial(_observer, args))
    mean = mean_score(list(scores.values()))
    if args.json:
        names = {name: numbers(score) for name, score in scores.items()}
        print(json.dumps({**numbers(mean), "sequences": names}))
    else:
        for table in _tables(args.tracker, scores, mean):
            Console().print(table)
    return 0


def score_sequences(
    tracker: Tracker,
    sequences: Iterable[Annotated],
    observer: Callable[[Annotated, ExitStack], Observer] = lambda *_: _ignore,
) -> dict[str, Score]:
    """The score of each sequence, by its name; progress on stderr. Errors as of score_sequence.

    ``observer`` makes what observes a sequence; the stack it is given ends with the sequence.
    """
    scores = {}
    with progress_on_stderr() as progress:
        for sequence in sequences:
            task = progress.add_task(sequence.name, total=len(sequence) - 1)
            advance = partial(progress.advance, task)
            with ExitStack() as stack:
                observe = observer(sequence, stack)
                scores[sequence.name] = score_sequence(tracker, sequence, advance, observe)
    return scores


def _chosen(args: argparse.Namespace) -> list[Annotated]:
    """The sequences asked for; InputError where options contradict each other."""
    if (args.folder is None) == (args.generated is None):
        raise InputError("give either a folder of sequences or --generated N")
    if args.generated is None and args.objects is not None:
        raise InputError("--objects is the number of objects of --generated sequences: give both")
    if args.mosaic is None and (args.blank is not None or args.size is not None):
        raise InputError("--blank and --size are those of a --mosaic: give one, for example 2x2")
    if args.generated is None:
        sequences = scorable(find_sequences(args.folder))
    else:
        objects = OBJECTS if args.objects is None else args.objects
        sequences = reserved_sequences(args.generated, objects)
    if args.mosaic is None:
        return sequences
    return make_mosaics(sequences, args.mosaic, args.size or SIZE, args.blank)


def _observer(args: argparse.Namespace, sequence: Annotated, stack: ExitStack) -> Observer:
    """What keeps the frames of a sequence, where that is asked for."""
    if args.record is None:
        return _ignore
    names = {number: str(number) for number in sequence.objects}
    heading = Heading(sequence.name, args.tracker, names)
    return stack.enter_context(Recorder(args.record / sequence.name, heading)).write


def scorable(sequences: Iterable[Sequence]) -> list[Annotated]:
    """Those with a mask on every frame; the others are named on stderr.

    Raises InputError where none is left.
    """
    found: list[Annotated] = []
    for sequence in sequences:
        annotated = len(sequence.frames) - sequence.annotations.count(None)
        if not sequence.fully_annotated:
            reason = f"{annotated} of {len(sequence.frames)} frames have a mask"
        elif len(sequence.frames) < 3:
            reason = "the first and the last frame are left out, so it needs three or more"
        elif not sequence.objects:
            reason = "there is no object on its first mask"
        else:
            found.append(OnDisk(sequence))
            continue
        print(f"hqtrack: skipped {sequence.name}: {reason}", file=sys.stderr)
    if not found:
        raise InputError("nothing to score: no sequence has a mask on every frame")
    return found


def _tables(title: str, scores: dict[str, Score], mean: Score) -> Iterator[Table]:
    """J, F and speed, and in a table of their own the measures of VOTS."""
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
    return f"{value:.2f}" if measure == "fps" else f"{value:.3f}"
