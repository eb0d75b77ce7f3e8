"""The command ``hqtrack score``: how well and how fast a tracker follows annotated sequences."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from rich.console import Console
from rich.table import Table

from hqtrack.errors import InputError
from hqtrack.measures import boundary_measure, region_similarity
from hqtrack.progress import progress_on_stderr
from hqtrack.record import Heading, Observed, Recorder, Truth
from hqtrack.tracker import Tracker, last_step
from hqtrack.types import Image, Masks
from hqtrack.video import Sequence, find_sequences, read_frames

Observer: TypeAlias = Callable[[Observed], None]

TRACKERS = ("HQTrackLight", "HQTrack", "FirstMask")
"""What can be scored by name; see ``hqtrack.build.build_named``."""


def _ignore(observed: Observed) -> None:
    pass


@dataclass(frozen=True)
class Score:
    """Region similarity (J) and boundary measure (F) in [0, 1], and how long tracking took.

    ``seconds`` is the time spent inside ``track`` for ``frames`` frames: showing the first frame,
    reading files and measuring are left out.
    """

    region: float
    boundary: float
    frames: int
    seconds: float

    @property
    def fps(self) -> float:
        """Frames tracked per second."""
        return self.frames / self.seconds


def score_sequence(
    tracker: Tracker,
    sequence: Sequence,
    advance: Callable[[], None] = lambda: None,
    observe: Observer = _ignore,
) -> Score:
    """Track the objects of the first frame; mean of J and F over frames, then objects.

    As in DAVIS the first and the last frame are left out, so the sequence needs a label map on
    every frame and at least three frames. ``advance`` is called after each frame that is
    measured, ``observe`` with every frame that is shown. Raises InputError for images or label
    maps that cannot be read or differ in size.
    """
    frames = read_frames(sequence.frames[:-1])
    first = next(frames)
    given = _truth(sequence, 0, first)
    tracker.initialize(first, given)
    names = [path.name for path in sequence.frames]
    sure = np.ones(len(given), np.float32)
    observe(Observed(1, names[0], first, sequence.objects, given, sure))
    regions, boundaries, seconds = [], [], 0.0
    for index, image in enumerate(frames, start=1):
        start = time.perf_counter()
        tracked = tracker.track(image)
        seconds += time.perf_counter() - start
        truth = _truth(sequence, index, image)
        regions.append(region_similarity(tracked.masks, truth))
        boundaries.append(boundary_measure(tracked.masks, truth))
        compared = Truth(truth, regions[-1], boundaries[-1])
        shown = (index + 1, names[index], image, sequence.objects)
        observe(Observed(*shown, *tracked, last_step(tracker), compared))
        advance()
    region, boundary = (float(np.mean(scores, dtype="f8")) for scores in (regions, boundaries))
    return Score(region, boundary, len(regions), seconds)


def mean_score(scores: list[Score]) -> Score:
    """The mean of J and F over sequences, with all their frames and seconds."""
    return Score(
        region=float(np.mean([score.region for score in scores])),
        boundary=float(np.mean([score.boundary for score in scores])),
        frames=sum(score.frames for score in scores),
        seconds=sum(score.seconds for score in scores),
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack score``."""
    parser.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="folder of sequences: NAME/color/00000001.jpg, NAME/masks/00000001.png, ...",
    )
    parser.add_argument("--tracker", required=True, choices=TRACKERS, help="what to score")
    parser.add_argument(
        "--json", action="store_true", help="print one line of JSON instead of a table"
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="DIR",
        help="also keep what `hqtrack inspect DIR/NAME` shows",
    )
    parser.add_argument("--device", help="where to compute: cpu, cuda, cuda:1 (default: the best)")
    parser.add_argument(
        "--weights", type=Path, metavar="DIR", help="folder of checkpoints (default: the usual one)"
    )


def run(args: argparse.Namespace) -> int:
    """Score a tracker over all fully annotated sequences of a folder and print the result."""
    sequences = _scorable(find_sequences(args.folder))
    # torch comes with it: not before it is needed
    from hqtrack.build import build_named

    tracker = build_named(args.tracker, device=args.device, weights=args.weights)
    scores = {}
    with progress_on_stderr() as progress:
        for sequence in sequences:
            task = progress.add_task(sequence.name, total=len(sequence.frames) - 2)
            advance = partial(progress.advance, task)
            with ExitStack() as stack:
                observe = _observer(args, sequence, stack)
                scores[sequence.name] = score_sequence(tracker, sequence, advance, observe)
    mean = mean_score(list(scores.values()))
    if args.json:
        names = {name: _numbers(score) for name, score in scores.items()}
        print(json.dumps({**_numbers(mean), "sequences": names}))
    else:
        Console().print(_table(args.tracker, scores, mean))
    return 0


def _observer(args: argparse.Namespace, sequence: Sequence, stack: ExitStack) -> Observer:
    """What keeps the frames of a sequence, where that is asked for."""
    if args.record is None:
        return _ignore
    names = {number: str(number) for number in sequence.objects}
    heading = Heading(sequence.name, args.tracker, names)
    return stack.enter_context(Recorder(args.record / sequence.name, heading)).write


def _truth(sequence: Sequence, index: int, image: Image) -> Masks:
    masks = sequence.masks(index)
    if masks.shape[1:] != image.shape[:2]:
        raise InputError(
            f"{sequence.annotations[index]} is {masks.shape[2]}x{masks.shape[1]} but its image is "
            f"{image.shape[1]}x{image.shape[0]}: label maps have the size of the images"
        )
    return masks


def _scorable(sequences: list[Sequence]) -> list[Sequence]:
    """Those with a mask on every frame; the others are named on stderr."""
    scorable = []
    for sequence in sequences:
        annotated = len(sequence.frames) - sequence.annotations.count(None)
        if not sequence.fully_annotated:
            reason = f"{annotated} of {len(sequence.frames)} frames have a mask"
        elif len(sequence.frames) < 3:
            reason = "the first and the last frame are left out, so it needs three or more"
        elif not sequence.objects:
            reason = "there is no object on its first mask"
        else:
            scorable.append(sequence)
            continue
        print(f"hqtrack: skipped {sequence.name}: {reason}", file=sys.stderr)
    if not scorable:
        raise InputError("nothing to score: no sequence has a mask on every frame")
    return scorable


def _numbers(score: Score) -> dict[str, float]:
    return {"J": score.region, "F": score.boundary, "fps": score.fps}


def _table(title: str, scores: dict[str, Score], mean: Score) -> Table:
    table = Table("sequence", title=title)
    for name in ("J", "F", "fps"):
        table.add_column(name, justify="right")
    for name, score in scores.items():
        table.add_row(name, *_cells(score))
    table.add_section()
    table.add_row("mean", *_cells(mean))
    return table


def _cells(score: Score) -> tuple[str, ...]:
    return f"{score.region:.3f}", f"{score.boundary:.3f}", f"{score.fps:.2f}"
