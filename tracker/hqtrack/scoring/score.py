"""Scores a tracker on annotated sequences: quality and speed."""

import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeAlias

import numpy as np

from hqtrack.errors import InputError
from hqtrack.measures import boundary_measure, region_similarity
from hqtrack.progress import progress_on_stderr
from hqtrack.records.record import Observed, Truth
from hqtrack.scoring.annotated import Annotated, OnDisk
from hqtrack.scoring.vots import Analysed, Tracks, VotsMeasures, analyse, join
from hqtrack.tracker import Tracker, last_step
from hqtrack.video import Sequence

Observer: TypeAlias = Callable[[Observed], None]


@dataclass(frozen=True)
class Score:
    """Region similarity (J) and boundary measure (F) in [0, 1], VOTS measures, and speed.

    ``seconds`` is the time inside ``track`` for ``frames`` frames, without initializing, reading
    files and measuring.
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
    observe: Observer = lambda observed: None,
) -> Score:
    """Track the objects of the first frame; mean of J and F over frames, then objects.

    As in DAVIS, J and F leave out the first and the last frame, so the sequence needs at least
    three frames. The measures of VOTS use all frames. No measure counts void pixels: as in DAVIS's
    code, they are removed from the masks first. This calls ``advance`` after each tracked
    frame and ``observe`` with every frame. Raises InputError if images or label maps cannot be read
    or differ in size.
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
        known = tracked.masks if frame.void is None else tracked.masks & ~frame.void
        tracks.add(frame.masks, known)
        regions.append(region_similarity(known, frame.masks))
        boundaries.append(boundary_measure(known, frame.masks))
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
    """The measures by their names in tables and JSON; ADQ is None if no object was absent."""
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


def score_sequences(
    tracker: Tracker,
    sequences: Iterable[Annotated],
    observer: Callable[[Annotated, ExitStack], Observer] | None = None,
) -> dict[str, Score]:
    """The score of each sequence by its name; shows progress on stderr.

    ``observer`` makes the observer of a sequence; it gets a stack that is closed after the
    sequence. Raises the errors of ``score_sequence``.
    """
    scores = {}
    with progress_on_stderr() as progress:
        for sequence in sequences:
            task = progress.add_task(sequence.name, total=len(sequence) - 1)
            advance = partial(progress.advance, task)
            with ExitStack() as stack:
                observe = [] if observer is None else [observer(sequence, stack)]
                scores[sequence.name] = score_sequence(tracker, sequence, advance, *observe)
    return scores


def scorable(sequences: Iterable[Sequence]) -> list[Annotated]:
    """The sequences with a mask on every frame; names the others on stderr.

    Raises InputError if none is left.
    """
    found: list[Annotated] = []
    for sequence in sequences:
        annotated = len(sequence.frames) - sequence.annotations.count(None)
        if not sequence.fully_annotated:
            reason = f"{annotated} of {len(sequence.frames)} frames have a mask"
        elif len(sequence.frames) < 3:
            reason = (
                "it needs at least three frames, because J and F leave out the first and the last"
            )
        elif not sequence.objects:
            reason = "there is no object on its first mask"
        else:
            found.append(OnDisk(sequence))
            continue
        print(f"hqtrack: skipped {sequence.name}: {reason}", file=sys.stderr)
    if not found:
        raise InputError("nothing to score: no sequence has a mask on every frame")
    return found
