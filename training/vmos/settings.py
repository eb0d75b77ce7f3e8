"""Compare settings of a tracker on held-out videos: `python -m training.vmos.settings`.

Each option of input and memory takes several values. The first value of each makes the first row;
every other value makes a row of its own, with the first values of the other options. Choose with
this on videos that were held out from training, never on those that are reported.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from hqtrack import weights as known
from hqtrack.build import assemble
from hqtrack.compute.acceleration import accelerate, choose_acceleration
from hqtrack.segmenter import SegmenterConfig
from training.data.datasets import open_datasets
from training.data.sources import AnnotatedVideo
from training.engine.command import measuring
from training.vmos.held_out import Followed, follow
from training.vmos.recipes import read_config
from training.vmos.train import split
from vmos import build_vmos

OPTIONS = (
    "min_short_edge",
    "max_long_edge",
    "long_term_gap",
    "long_term_size",
    "short_term_lag",
    "sharpness",
    "object_bias",
)


def variants(base: SegmenterConfig, values: dict[str, list[Any]]) -> Iterator[SegmenterConfig]:
    """The first values of all options, then each other value by itself."""
    first = replace(base, **{name: given[0] for name, given in values.items() if given})
    yield first
    for name, given in values.items():
        for value in given[1:]:
            yield replace(first, **{name: value})


def row(config: SegmenterConfig, found: dict[str, Followed], fps: float) -> str:
    """A line of the table in Markdown."""
    settings = [str(asdict(config)[name]) for name in OPTIONS]
    means = [f"{fmean(values):.3f}" for values in zip(*found.values(), strict=True)]
    single = [f"{score.J:.3f}" for score in found.values()]
    return f"| {' | '.join([*settings, *means, f'{fps:.1f}', *single])} |"


def heading(names: Sequence[str]) -> str:
    """The lines above the rows."""
    cells = [*OPTIONS, "J", "F", "fps", *names]
    return f"| {' | '.join(cells)} |\n|{' --: |' * len(cells)}"


def measure(args: argparse.Namespace) -> None:
    """Print the table, row by row. Raises InputError."""
    config, base = read_config(args.config)
    held_out = split(open_datasets(args.data), args.held_out)[1]
    values = {name: getattr(args, name) for name in OPTIONS}
    model = build_vmos(config, known.load(args.weights))
    acceleration = accelerate(choose_acceleration(torch.device("cpu")), model)
    print(heading([video.name for video in held_out]), flush=True)
    for setting in variants(base, values):
        tracker = assemble(model, None, setting, acceleration)
        begun, found = time.monotonic(), {}
        for video in held_out:
            found[video.name] = follow(tracker, video, args.frames)
        tracked = sum(_tracked(video, args.frames) for video in held_out)
        print(row(setting, found, tracked / (time.monotonic() - begun)), flush=True)


def _tracked(video: AnnotatedVideo, most: int | None) -> int:
    """Frames of a video that `follow` tracks."""
    return len(video.frames[video.annotated[0] + 1 :][:most])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="training.vmos.settings", description=__doc__)
    parser.add_argument("--data", nargs="+", required=True, help="datasets, as for training.vmos")
    parser.add_argument("--held-out", nargs="+", required=True, help="videos or scenes of them")
    parser.add_argument("--weights", type=Path, required=True, help="file of weights")
    parser.add_argument("--config", default="light", help="as for training.vmos")
    parser.add_argument("--frames", type=int, help="most frames of each video")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    for name in OPTIONS:
        kind = type(getattr(SegmenterConfig(), name))
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, nargs="+", default=[])
    args = parser.parse_args(arguments)
    return measuring("training.vmos.settings", args.threads, partial(measure, args))


if __name__ == "__main__":
    sys.exit(main())
