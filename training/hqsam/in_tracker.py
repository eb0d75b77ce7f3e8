"""What HQ-SAM light adds to the light tracker: `python -m training.hqsam.in_tracker`.

Every video is tracked once. The coarse masks, which alone enter memory, are refined in several
ways on annotated frames, so all rows are about the same masks. J and F are means over objects and
frames, then over videos; differences are paired by video, with their standard error. `--pictures`
shows where the rules of `plus` gain and lose most.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from hqtrack.build import build_tracker
from hqtrack.errors import InputError
from hqtrack.masks import label_masks
from hqtrack.measures import boundary_measure, region_similarity
from hqtrack.refiner import Candidates, MaskRefiner, Windows
from hqtrack.rules import SelectionRules
from hqtrack.selection import select_masks
from hqtrack.types import Image, Masks
from hqtrack.video.images import write_image
from training.data.layouts import read_sequences
from training.data.sources import VOID, AnnotatedVideo, is_object
from training.engine.command import measuring
from training.hqsam.changes import Change, changes_of, extremes, sheet
from training.hqsam.light import HELD_OUT, load_light


class Way(NamedTuple):
    """How masks are refined, and which of them are kept."""

    windows: Windows
    selection: SelectionRules = SelectionRules()


_NEAREST = (0.55, 0.65, 0.75, 0.85)

WAYS = {
    "box": Way(Windows(with_masks=False)),
    "box, all sizes": Way(Windows(with_masks=False, largest=9.0)),
    "box and mask": Way(Windows()),
    "box and mask, all sizes": Way(Windows(largest=9.0)),
    "box and mask, IoU 0.7": Way(Windows(), SelectionRules(0.7)),
    **{
        f"box and mask, nearest, IoU {iou}": Way(Windows(), SelectionRules(iou, nearest=True))
        for iou in _NEAREST
    },
}
"""The ways of refining that are compared; the last ones keep close to the coarse mask."""

_COARSE = "coarse"

_PICTURED = "box and mask, nearest, IoU 0.75"
"""The way of which pictures are made: that of the rules `plus`."""

_MOST_PICTURES = 10
"""Of gains, and of losses."""


def measure_video(
    refiners: dict[Windows, MaskRefiner],
    video: AnnotatedVideo,
    every: int,
    changes: list[Change] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Means [3] of J, F and seconds of refining over every n-th annotated frame, by way.

    If ``changes`` are given, the objects whose masks differ are added to them. The first annotated
    frame, whose masks are given, does not count. Void pixels count as background.
    """
    tracker = build_tracker("light")
    first = video.annotated[0]
    image, labels = video.frames[first].read()
    objects = np.unique(labels[is_object(labels)]).tolist()
    tracker.initialize(image, label_masks(labels, objects))
    rows: dict[str, list[NDArray[np.float64]]] = {way: [] for way in (_COARSE, *WAYS)}
    measured = set(video.annotated[1::every])
    for number in range(first + 1, max(measured, default=first) + 1):
        image, labels = video.frames[number].read()
        coarse = tracker.track(image).masks
        if number not in measured:
            continue
        truth, known = label_masks(labels, objects), labels != VOID
        rows[_COARSE].append(_scores(coarse, truth, known, 0.0))
        found = {windows: _timed(refiner, image, coarse) for windows, refiner in refiners.items()}
        for name, way in WAYS.items():
            candidates, seconds = found[way.windows]
            chosen = select_masks(
                coarse,
                candidates.masks,
                candidates.scores,
                way.selection.min_iou,
                way.selection.nearest,
            )
            rows[name].append(_scores(chosen.masks, truth, known, seconds))
            if changes is not None and name == _PICTURED:
                gains = region_similarity(chosen.masks & known, truth)
                gains -= region_similarity(coarse & known, truth)
                where = f"{video.name} {video.frames[number].image.stem}"
                changes += changes_of(where, image, coarse, chosen.masks, truth, gains)
    return {way: np.mean(scores, axis=0) for way, scores in rows.items()}


def _timed(refiner: MaskRefiner, image: Image, coarse: Masks) -> tuple[Candidates, float]:
    began = time.perf_counter()
    candidates = refiner.refine(image, coarse)
    return candidates, time.perf_counter() - began


def _scores(
    found: Masks, truth: Masks, known: NDArray[np.bool_], seconds: float
) -> NDArray[np.float64]:
    seen = found & known
    return np.array(
        [
            region_similarity(seen, truth).mean(),
            boundary_measure(seen, truth).mean(),
            seconds,
        ]
    )


def table(rows: dict[str, dict[str, NDArray[np.float64]]]) -> Table:
    """Means over the videos, and differences from the coarse masks with their standard errors."""
    shown = Table(title=f"{len(rows)} videos")
    for column in ("masks", "J", "F", "J - coarse", "F - coarse", "seconds"):
        shown.add_column(column, justify="left" if column == "masks" else "right")
    ways = next(iter(rows.values()))
    for way in ways:
        scores = np.array([row[way] for row in rows.values()])
        cells = [f"{mean:.3f}" for mean in scores.mean(axis=0)]
        differences = [scores[:, n] - [row[_COARSE][n] for row in rows.values()] for n in range(2)]
        told = [f"{d.mean():+.4f} ± {d.std() / max(1, len(d) - 1) ** 0.5:.4f}" for d in differences]
        shown.add_row(way, *cells[:2], *told, cells[2])
    return shown


def videos_of(places: Sequence[Path], names: Sequence[str]) -> list[AnnotatedVideo]:
    """The videos of these names or scenes; all where there is no name.

    Nothing is learnt from them, so videos of validation sets are no error.
    """
    videos = [video for place in places for video in read_sequences(place).videos]
    return [video for video in videos if not names or {video.name, video.scene} & set(names)]


def run(args: argparse.Namespace) -> None:
    """Print a row per video, then the table."""
    sam = load_light(args.weights)
    refiners = {way.windows: MaskRefiner(sam, windows=way.windows) for way in WAYS.values()}
    videos = videos_of(args.data, args.videos)
    if not videos:
        raise InputError("there is no such video in --data: see --videos")
    rows: dict[str, dict[str, NDArray[np.float64]]] = {}
    kept: list[Change] = []
    for video in videos:
        changes: list[Change] | None = [] if args.pictures else None
        rows[video.name] = measure_video(refiners, video, args.every, changes)
        kept = extremes(kept + (changes or []), _MOST_PICTURES)
        texts = (f"{way} {j:.3f} {f:.3f}" for way, (j, f, _) in rows[video.name].items())
        print(f"{video.name}: {'; '.join(texts)}", flush=True)
    Console(width=120).print(table(rows))
    if kept:
        write_image(args.pictures, sheet(kept))
    elif args.pictures:
        print("no mask gained or lost, so there are no pictures")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="training.hqsam.in_tracker", description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="HQ-SAM light, or a run of it")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of sequences")
    parser.add_argument(
        "--videos", nargs="*", default=HELD_OUT.split(), help="their names (none: all)"
    )
    parser.add_argument("--every", type=int, default=1, help="measure every n-th annotated frame")
    parser.add_argument(
        "--pictures", type=Path, help="image file for the ten largest gains and losses of J"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args(arguments)
    return measuring("training.hqsam.in_tracker", args.threads, partial(run, args))


if __name__ == "__main__":
    sys.exit(main())
