"""Measures what corrections are worth: `python -m benchmarks.corrections --data SEQUENCES`.

It follows the interactive protocol of DAVIS in a simple form: after each round, the frame with the
lowest J gets its true masks. `correct` gives them to `HQTracker.correct`; `anew` starts the tracker
on that frame with them, as people do who can only give first masks. Frames before stay as they are.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hqtrack.build import build_tracker
from hqtrack.errors import InputError, exit_status
from hqtrack.measures import region_similarity
from hqtrack.presets import LIGHT, WITH_NETWORKS
from hqtrack.scoring.annotated import Annotated
from hqtrack.scoring.score import scorable
from hqtrack.tracker import HQTracker, Tracker
from hqtrack.types import Image, Masks, Scores
from hqtrack.video import find_sequences

_EVERY = 8
"""Frames from one kept state of the tracker to the next."""


class Round(NamedTuple):
    """After some corrections: J of every frame after the first, mean over objects, and J of all.

    ``frames`` are those that were corrected, in this order, counted from 0. Their own J is 1.
    ``states``: some frames, and the tracker's state before each of them.
    """

    frames: tuple[int, ...]
    regions: Scores
    states: Mapping[int, object] = {}

    @property
    def region(self) -> float:
        """J as DAVIS has it: without the first and the last frame."""
        return float(self.regions[:-1].mean())

    @property
    def worst(self) -> int | None:
        """The frame with the lowest J that is not perfect yet; the last frame does not count."""
        regions = self.regions[:-1]
        return None if regions.min() == 1 else int(regions.argmin()) + 1


def correct(tracker: Tracker, image: Image, masks: Masks) -> None:
    """Give the tracker the right masks of all objects."""
    tracker.correct(image, masks, range(len(masks)))


def anew(tracker: Tracker, image: Image, masks: Masks) -> None:
    """Start the tracker with the right masks; an object that is not there has to have a pixel."""
    given = masks.copy()
    given[~masks.any(axis=(1, 2)), 0, 0] = True
    tracker.initialize(image, given)


def follow(
    tracker: Tracker,
    sequence: Annotated,
    frames: tuple[int, ...],
    give: Callable[[Tracker, Image, Masks], None],
    before: Round | None = None,
) -> Round:
    """Track a sequence with the true masks on its first frame and on ``frames``.

    ``before``: the round before, without the last of these frames. What lies before that one is
    not tracked again, if the tracker has states.
    """
    start, states = 0, {}
    if before is not None:
        states = {index: state for index, state in before.states.items() if index <= frames[-1]}
        start = max(states, default=0)
    regions = [] if before is None or not start else before.regions[: start - 1].tolist()
    for index, frame in enumerate(sequence.read()):
        if index == 0 and not start:
            tracker.initialize(frame.image, frame.masks)
        if index < max(start, 1):
            continue
        if isinstance(tracker, HQTracker):
            if index == start:
                tracker.restore(states[start])
            elif index % _EVERY == 0:
                states[index] = tracker.save()
        masks = tracker.track(frame.image).masks
        if index in frames:
            give(tracker, frame.image, frame.masks)
            masks = frame.masks
        regions.append(region_similarity(masks, frame.masks).mean())
    return Round(frames, np.array(regions, np.float32), states)


def rounds(
    tracker: Tracker,
    sequence: Annotated,
    corrections: int,
    give: Callable[[Tracker, Image, Masks], None],
    first: Round | None = None,
) -> list[Round]:
    """The sequence with 0, 1, ... corrections, each on the worst frame so far.

    ``first``: the one without corrections, if it is known. Less rounds if nothing is left to mend.
    """
    done = [first or follow(tracker, sequence, (), give)]
    while len(done) <= corrections and (worst := done[-1].worst) is not None:
        done.append(follow(tracker, sequence, (*done[-1].frames, worst), give, done[-1]))
    return done


def line(name: str, way: str, done: Sequence[Round], columns: int) -> str:
    """A line of the table; the frames are counted from 1."""
    regions = [f"{each.region:.3f}" for each in done] + [""] * (columns - len(done))
    frames = ", ".join(str(frame + 1) for frame in done[-1].frames)
    return f"| {' | '.join([name, way, *regions, frames])} |"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of annotated sequences")
    parser.add_argument("--sequences", nargs="+", help="names of some of them (default: all)")
    parser.add_argument("--corrections", type=int, default=3, help="(default: 3)")
    parser.add_argument("--preset", choices=WITH_NETWORKS, default=LIGHT.name)
    parser.add_argument("--device")
    options = parser.parse_args(argv)
    return exit_status("benchmarks.corrections", partial(run, options))


def run(options: argparse.Namespace) -> None:
    """Measure the sequences that the options name. Raises InputError."""
    found = scorable(find_sequences(options.data))
    names = {each.name for each in found}
    if unknown := set(options.sequences or ()) - names:
        raise InputError(f"no annotated sequence {', '.join(unknown)} in {options.data}")
    tracker = build_tracker(options.preset, options.device)
    show(tracker, found, options.sequences or sorted(names), options.corrections)


def show(
    tracker: Tracker, found: Sequence[Annotated], names: Sequence[str], corrections: int
) -> None:
    """Print the table, each line when it is measured, and the mean at the end."""
    columns = corrections + 1
    print(f"| sequence | way | {' | '.join(map(str, range(columns)))} | corrected frames |")
    print(f"|---|---|{'--:|' * columns}---|")
    means: dict[str, list[list[float]]] = {"correct": [], "anew": []}
    for sequence in found:
        if sequence.name not in names:
            continue
        first = None
        for way, give in (("correct", correct), ("anew", anew)):
            done = rounds(tracker, sequence, corrections, give, first)
            first = done[0]
            print(line(sequence.name, way, done, columns), flush=True)
            regions = [each.region for each in done]
            means[way].append(regions + regions[-1:] * (columns - len(done)))
    for way, regions_of in means.items():
        mean = np.mean(regions_of, axis=0)
        print(f"| mean of {len(regions_of)} | {way} | {' | '.join(f'{j:.3f}' for j in mean)} | |")


if __name__ == "__main__":
    raise SystemExit(main())
