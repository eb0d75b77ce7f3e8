"""Compares rules of a tracker on harder sequences: `python -m benchmarks.stress`.

`--rules` takes the rules that ship and each of those of `plus` alone, see `SINGLE`.

Every sequence of every kind (`hqtrack.scoring.stress`) is tracked under each of the rules. The
table shows the mean of each measure, and the difference to the first rules with the interval in
which 95 % of the means lie when the sequences are drawn anew (bootstrap, paired by sequence).
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hqtrack.errors import InputError, exit_status
from hqtrack.presets import LIGHT, WITH_NETWORKS
from hqtrack.rules import PLUS, PUBLISHED, RULES, MemoryRules, Rules, SightRules
from hqtrack.scoring.annotated import Annotated
from hqtrack.scoring.score import numbers, scorable, score_sequence
from hqtrack.scoring.stress import KINDS, make_harder
from hqtrack.tracker import HQTracker
from hqtrack.video import find_sequences

COLUMNS = ("Quality", "accuracy", "robustness", "NRE", "DRE", "ADQ", "J", "F", "fps")
DRAWS = 10_000


def _of_plus(*names: str) -> dict[str, Any]:
    """Fields of the memory rules of `PLUS`."""
    return {name: getattr(PLUS.memory, name) for name in names}


_DOUBT = _of_plus("min_confidence", "usual", "max_jump")
_REACH = _of_plus("max_jump", "max_speed")

SINGLE = {
    "reach": Rules(memory=MemoryRules(**_REACH)),
    "forget": Rules(memory=MemoryRules(**_REACH, **_of_plus("forget_around"))),
    "presence": Rules(memory=MemoryRules(**_of_plus("min_presence"))),
    "wait": Rules(memory=MemoryRules(**_DOUBT, wait=True)),
    "hold": Rules(memory=MemoryRules(**_DOUBT, hold=PLUS.memory.hold)),
    "known": Rules(memory=MemoryRules(**_DOUBT, **_of_plus("min_known", "min_known_later"))),
    "denoise": Rules(sight=SightRules(max_noise=PLUS.sight.max_noise)),
    "sharp": Rules(sight=replace(PLUS.sight, max_noise=math.inf)),
    "select": replace(PUBLISHED, selection=PLUS.selection),
}
"""Each rule of `PLUS` added alone to those published, by the name of its field or its effect:
`reach` drops what an object cannot have reached, `forget` forgets the background there, too,
`presence` drops what has little confidence, `denoise` smooths noisy frames, and with `sharp` masks
follow edges; `select` differs with a refiner only."""

VARIANTS = {**RULES, **SINGLE}

EVERYTHING = "all but plain"


def interval(differences: NDArray[np.float64], seed: int = 0) -> tuple[float, float]:
    """The 2.5th and the 97.5th percentile of the mean of differences [S] drawn anew."""
    drawn = np.random.default_rng(seed).choice(differences, (DRAWS, len(differences)))
    low, high = np.percentile(drawn.mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def table(found: dict[str, dict[str, dict[str, float | None]]], measure: str) -> str:
    """A table in Markdown, a row per kind and set of rules.

    Takes the measures by rules and then by kind/sequence; the gain is that of one measure.
    """
    base, *_ = found
    lines = [f"| kind | sequences | rules | {' | '.join(COLUMNS)} | {measure}, gain |"]
    lines.append("|---|--:|---|" + "--:|" * (len(COLUMNS) + 1))
    kinds = list(dict.fromkeys(name.split("/")[0] for name in found[base]))
    for kind in [*kinds, EVERYTHING]:
        names = [name for name in found[base] if _belongs(name, kind)]
        for rules, scores in found.items():
            cells = [_mean([scores[name][column] for name in names]) for column in COLUMNS]
            gains = np.array([_gain(scores[name], found[base][name], measure) for name in names])
            gain = ""
            if rules != base and len(gains):
                low, high = interval(gains)
                gain = f"{gains.mean():+.3f} ({low:+.3f} to {high:+.3f})"
            lines.append(f"| {kind} | {len(names)} | {rules} | {' | '.join(cells)} | {gain} |")
    return "\n".join(lines)


def _belongs(name: str, kind: str) -> bool:
    """Whether kind/sequence is in the rows of this kind."""
    own = name.split("/")[0]
    return own == kind or (kind == EVERYTHING and own != "plain")


def _gain(one: dict[str, float | None], base: dict[str, float | None], measure: str) -> float:
    return (one[measure] or 0.0) - (base[measure] or 0.0)


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.mean(known):.3f}" if known else ""


def add_common_arguments(parser: argparse.ArgumentParser, frames: int) -> None:
    """Add what is tracked, by what, and under which rules; by default so many frames of each."""
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="annotated sequences")
    parser.add_argument("--only", nargs="+", default=[], help="names of sequences")
    parser.add_argument("--frames", type=int, default=frames, help="most frames of each sequence")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--rules", nargs="+", choices=VARIANTS, default=list(RULES))
    parser.add_argument("--preset", choices=WITH_NETWORKS, default=LIGHT.name)
    parser.add_argument("--threads", type=int, default=1)


def sequences_of(options: argparse.Namespace) -> list[Annotated]:
    """The sequences that these options name, before anything is made harder.

    Raises InputError if a folder has none, or a name is that of none.
    """
    found = [one for folder in options.data for one in scorable(find_sequences(folder))]
    unknown = set(options.only) - {one.name for one in found}
    if unknown:
        raise InputError(
            f"no sequence is called {', '.join(sorted(unknown))}: "
            f"there are {', '.join(sorted(one.name for one in found))}"
        )
    return [one for one in found if not options.only or one.name in options.only]


def compare(options: argparse.Namespace) -> str:
    """Track everything and return the table. Raises InputError."""
    import torch

    from hqtrack.build import build_tracker

    torch.set_num_threads(options.threads)
    sequences = sequences_of(options)
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    for rules in options.rules:
        tracker = build_tracker(options.preset, weights=options.weights, refiner=options.refiner)
        follow(tracker, VARIANTS[rules])
        found[rules] = {}
        for kind in options.kinds:
            for sequence in make_harder(sequences, kind, options.frames):
                score = numbers(score_sequence(tracker, sequence))
                found[rules][f"{kind}/{sequence.name}"] = score
                print(f"{rules} {kind}/{sequence.name}: Q {score['Quality']:.3f}", file=sys.stderr)
        if options.record:
            options.record.write_text(json.dumps(found, indent=1) + "\n")
    return table(found, options.measure)


def follow(tracker: HQTracker, rules: Rules) -> None:
    """Let a tracker follow these rules."""
    tracker.rules, segmenter = rules, tracker.segmenter
    segmenter.rules, segmenter.sight = rules.memory, rules.sight


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_common_arguments(parser, frames=60)
    parser.add_argument(
        "--refiner", help="as for hqtrack run; the light preset has none by default"
    )
    parser.add_argument("--weights", type=Path, help="folder of checkpoints")
    parser.add_argument("--measure", choices=COLUMNS, default="Quality")
    parser.add_argument("--record", type=Path, help="JSON file for all numbers")
    args = parser.parse_args(arguments)
    return exit_status("benchmarks.stress", lambda: print(compare(args)))


if __name__ == "__main__":
    sys.exit(main())
