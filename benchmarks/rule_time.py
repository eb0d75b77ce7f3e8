"""Measures what rules cost, in units of the first of them: `python -m benchmarks.rule_time`.

Trackers under each of the rules get the same frame one after the other, in an order that turns
around from frame to frame. So whatever else the machine does slows them all. Time is that of the
processor. The first frame, which has the masks, does not count.
"""

import argparse
import sys
import time
from collections.abc import Mapping
from statistics import fmean

import torch

from benchmarks.stress import VARIANTS, add_common_arguments, follow, sequences_of
from hqtrack.build import build_tracker
from hqtrack.errors import exit_status
from hqtrack.scoring.annotated import Annotated
from hqtrack.scoring.stress import make_harder
from hqtrack.tracker import HQTracker


def seconds_in_turn(trackers: Mapping[str, HQTracker], sequence: Annotated) -> dict[str, float]:
    """The processor's seconds for each frame after the first, by rules."""
    spent = dict.fromkeys(trackers, 0.0)
    tracked = 0
    for number, frame in enumerate(sequence.read()):
        if number == 0:
            for tracker in trackers.values():
                tracker.initialize(frame.image, frame.masks)
            continue
        tracked += 1
        turn = list(trackers.items())
        for rules, tracker in turn if number % 2 else reversed(turn):
            begin = time.process_time()
            tracker.track(frame.image)
            spent[rules] += time.process_time() - begin
    return {rules: total / tracked for rules, total in spent.items()}


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """A table in Markdown of seconds by kind/sequence and rules: milliseconds, and ratios."""
    base, *others = next(iter(found.values()))
    ratios = [[row[rules] / row[base] for rules in others] for row in found.values()]
    lines = [
        _row("", f"{base}, ms", *(f"{rules} to {base}" for rules in others)),
        _row("---", *["--:"] * (1 + len(others))),
        *(
            _row(name, f"{1e3 * row[base]:.0f}", *map("{:.3f}".format, ratio))
            for (name, row), ratio in zip(found.items(), ratios, strict=True)
        ),
    ]
    mean = fmean(row[base] for row in found.values())
    means = map(fmean, zip(*ratios, strict=True))
    return "\n".join([*lines, _row("mean", f"{1e3 * mean:.0f}", *map("{:.3f}".format, means))])


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def compare(options: argparse.Namespace) -> str:
    """Track everything and return the table. Raises InputError."""
    torch.set_num_threads(options.threads)
    trackers = {rules: build_tracker(options.preset) for rules in options.rules}
    for rules, tracker in trackers.items():
        follow(tracker, VARIANTS[rules])
    plain = sequences_of(options)
    found = {}
    for kind in options.kinds:
        for sequence in make_harder(plain, kind, options.frames):
            name = f"{kind}/{sequence.name}"
            found[name] = seconds_in_turn(trackers, sequence)
            base, *others = found[name].values()
            print(name, *(f"{other / base:.3f}" for other in others), file=sys.stderr)
    return table(found)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_arguments(parser, frames=30)
    args = parser.parse_args(arguments)
    return exit_status("benchmarks.rule_time", lambda: print(compare(args)))


if __name__ == "__main__":
    sys.exit(main())
