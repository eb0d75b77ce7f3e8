"""Train a VMOS: `python -m training.vmos --run FOLDER --data DATA ...`.

A run is a folder with the newest checkpoint, the log, TensorBoard events and a sample picture.
Started again with the same arguments it goes on where it stopped, with the same clips and the same
chances. Under `torchrun` several processes share the work.
"""

import argparse
import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, get_args

import torch

from hqtrack import weights as known
from hqtrack.errors import InputError
from hqtrack.light import LIGHT_SEGMENTER, LIGHT_VMOS
from hqtrack.segmenter import SegmenterConfig
from training.clips import ClipConfig, Clips, RawClip
from training.command import in_processes
from training.datasets import inspect_dataset, open_datasets
from training.dry_run import dry_run
from training.engine import resume, train
from training.processes import World, choose_bf16
from training.rollout import LossConfig
from training.run_folder import RunFolder, read_checkpoint
from training.sources import Dataset, Video
from training.trainer import Settings, Trainer
from training.vmos_task import VMOSTask, deepen, initialise, take_encoder
from vmos import VMOS, VMOSConfig, build_vmos
from vmos.checkpoint import CheckpointError

Tell: TypeAlias = Callable[[str], None]
Configuration = TypeVar("Configuration", Settings, ClipConfig, LossConfig)

MOST_INSPECTED = 1000
"""Images of a dataset that a dry run reads."""

HELD_OUT = ("dance-jump", "rhino", "scooter-gray")
"""Training sequences that are kept for choosing between models."""

CONFIGS = {"light": LIGHT_VMOS, "full": VMOSConfig()}

BOTH_STAGES = {
    "batch": 16,
    "warm_up": 1000,
    "average": 0.9999,
    "size": 465,
    "frames": 5,
    "generated": 0.0,
    "memory_gap": 2,
    "transport": 0.0,
    "save_every": 1000,
    "log_every": 50,
    "sample_every": 1000,
    "evaluate_every": 5000,
}

RECIPES: dict[str, dict[str, Any]] = {
    "stage1": BOTH_STAGES
    | {"steps": 100_000, "rate": 4e-4, "last_rate": 2e-5, "weight_decay": 0.03, "video": 0.0},
    "stage2": BOTH_STAGES
    | {"steps": 150_000, "rate": 2e-4, "last_rate": 1e-5, "weight_decay": 0.07, "video": 1.0}
    | {"encoder_ratio": 0.1},
}
"""The stages of the HQTrack report as defaults of the options.

Batch, warm-up, average and what is written how often are ours: the report does not give them.
"""

LEAST = {"frames": 2} | dict.fromkeys(("steps", "batch", "max_gap", "save_every", "log_every"), 1)
LEAST |= dict.fromkeys(("warm_up", "workers", "sample_every", "evaluate_every"), 0)
"""Smallest values of options that are counts."""

HELP = {
    "steps": "steps of the whole run",
    "batch": "clips per step, over all processes",
    "optimizer": "how weights move, see Settings",
    "rate": "highest learning rate",
    "last_rate": "learning rate in the end",
    "power": "exponent of the polynomial decay",
    "warm_up": "steps until the highest learning rate",
    "weight_decay": "of matrices and kernels",
    "clip": "largest norm of the gradient",
    "average": "decay of the moving average of the weights",
    "seed": "of clips and chances",
    "workers": "processes that load clips",
    "save_every": "steps between checkpoints",
    "log_every": "steps between lines of the log",
    "sample_every": "steps between sample pictures, 0 for none",
    "evaluate_every": "steps between evaluations on the held-out videos, 0 for none",
    "size": "side of the clips, pixels",
    "frames": "frames per clip",
    "video": "share of clips from video",
    "generated": "share of generated ones of the other clips",
    "hidden": "share of clips in which something is painted over and comes back",
    "max_gap": "most video frames between two of a clip",
    "widest": "largest side of a crop from video, relative to the frame's short side",
    "zoom": "how much clips from video change their scale",
    "hardest": "share of the pixels that the cross entropy looks at",
    "transport": "weight of the loss on what attention alone carries over",
    "truth": "share of frames that enter memory with true labels",
    "stale": "share of frames that enter memory with stale labels",
    "damaged": "share of frames that enter memory with damaged labels",
    "reference_only": "share of clips with the reference alone in long-term memory",
    "memory_gap": "every so many frames one enters long-term memory",
}
"""Options that are fields of a configuration; their defaults are those of the fields."""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="training.vmos", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--data", nargs="*", default=(), help="datasets, each [LAYOUT:]FOLDER[=SHARE]"
    )
    parser.add_argument("--recipe", choices=RECIPES, help="defaults as in the HQTrack report")
    parser.add_argument(
        "--config", default="light", help="light, full, or a JSON file with fields of VMOSConfig"
    )
    parser.add_argument("--start", type=Path, help="weights to start from, .pt, .pth, .safetensors")
    parser.add_argument(
        "--deepen",
        action="store_true",
        help="let encoder blocks that --start lacks begin as ones that change nothing",
    )
    parser.add_argument(
        "--encoder", type=Path, help="InternImage checkpoint to start the encoder from"
    )
    parser.add_argument(
        "--encoder-ratio", type=float, default=1.0, help="learning rate of the encoder, relative"
    )
    parser.add_argument(
        "--held-out", nargs="*", default=HELD_OUT, help="videos to measure on, never trained on"
    )
    _add_fields(parser)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", help="cpu, cuda (default: a GPU where there is one)")
    parser.add_argument(
        "--bf16",
        nargs="?",
        const="on",
        default="auto",
        choices=("auto", "on", "off"),
        help="compute in bfloat16 where it is safe (auto: on a GPU that has it)",
    )
    parser.add_argument(
        "--checkpointing", action="store_true", help="less memory, a third more time"
    )
    parser.add_argument(
        "--dry-run",
        type=int,
        nargs="?",
        const=3,
        metavar="STEPS",
        help="check the data, take a few steps, print what they need and write nothing",
    )
    recipe = parser.parse_known_args(arguments)[0].recipe
    parser.set_defaults(**RECIPES.get(recipe, {}))
    args = parser.parse_args(arguments)
    if args.steps is None:
        parser.error("give --steps or a --recipe")
    return args


def _add_fields(parser: argparse.ArgumentParser) -> None:
    """The options of `HELP`, with the defaults of the fields; steps have none."""
    for field in (
        field for config in (Settings, ClipConfig, LossConfig) for field in fields(config)
    ):
        if field.name not in HELP:
            continue
        kind: Callable[[str], Any] = int if field.name == "steps" else type(field.default)
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            type=kind,
            default=None if field.name == "steps" else field.default,
            choices=get_args(field.type) or None,
            help=HELP[field.name],
        )


def read_config(name: str) -> tuple[VMOSConfig, SegmenterConfig]:
    """The network of this name or JSON file, and how its videos are tracked.

    A network of one's own is tracked as the light one is. Raises InputError.
    """
    if name in CONFIGS:
        return CONFIGS[name], SegmenterConfig() if name == "full" else LIGHT_SEGMENTER
    try:
        sizes: dict[str, Any] = json.loads(Path(name).read_text())
        for key, size in sizes.items():
            sizes[key] = tuple(size) if isinstance(size, list) else size
        config = VMOSConfig(**sizes)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"--config {name}: {error}; give {', '.join(CONFIGS)} or a JSON file with fields of "
            'VMOSConfig, like {"widths": [16, 32, 64]}'
        ) from error
    return config, LIGHT_SEGMENTER


def make_model(args: argparse.Namespace, config: VMOSConfig, tell: Tell) -> VMOS:
    """The network with the weights it starts from: random, given, or a given encoder."""
    if args.start and args.encoder:
        raise InputError("--start brings an encoder along: give either --start or --encoder")
    if args.start:
        weights = _starting_weights(args.start)
        if args.deepen:
            weights = deepen(config, weights)
        try:
            return build_vmos(config, weights)
        except CheckpointError as error:
            raise InputError(f"{args.start}: {error}") from error
    model = initialise(build_vmos(config))
    if args.encoder:
        tell(f"{args.encoder}: {take_encoder(model, known.load(args.encoder))}")
    return model


def _starting_weights(file: Path) -> dict[str, Any]:
    """The averaged weights of a run's checkpoint, or the weights of another file."""
    if file.suffix == ".pt":
        average: dict[str, Any] = read_checkpoint(file)["average"]
        return average
    return known.load(file)


def prepare(
    args: argparse.Namespace, world: World, datasets: Sequence[Dataset], tell: Tell
) -> tuple[Trainer[RawClip], Clips]:
    """The trainer, at its start, and its clips."""
    config, segmenter = read_config(args.config)
    _check(args, config)
    options = vars(args) | {
        "objects": config.objects,
        "bf16": choose_bf16(args.bf16, world.device),
    }
    training, held_out = split(datasets, args.held_out)
    clips = Clips(_pick(ClipConfig, options), training, args.seed)
    model, loss = make_model(args, config, tell), _pick(LossConfig, options)
    task = VMOSTask(model, loss, segmenter, held_out, args.encoder_ratio, args.checkpointing)
    return Trainer(task, _pick(Settings, options), world), clips


def _check(args: argparse.Namespace, config: VMOSConfig) -> None:
    """InputError for numbers that make no training."""
    if args.size % config.coarse_stride != 1:
        raise InputError(f"--size {args.size}: give a multiple of {config.coarse_stride} plus 1")
    for name, least in LEAST.items():
        if vars(args)[name] < least:
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"{flag} {vars(args)[name]}: give {least} or more")


def _pick(kind: type[Configuration], options: Mapping[str, Any]) -> Configuration:
    """A configuration of those options that are its fields."""
    return kind(**{field.name: options[field.name] for field in fields(kind)})


def split(
    datasets: Sequence[Dataset], held_out: Collection[str]
) -> tuple[list[Dataset], list[Video]]:
    """The datasets without the videos of these names, and those videos.

    Raises InputError where there is none of a name, unless it is one of `HELD_OUT`.
    """
    names = {video.name for data in datasets for video in data.videos}
    unknown = sorted(set(held_out) - names - set(HELD_OUT))
    if unknown:
        raise InputError(f"--held-out {' '.join(unknown)}: no dataset has a video of that name")
    kept = [
        replace(data, videos=tuple(video for video in data.videos if video.name not in held_out))
        for data in datasets
    ]
    videos = (video for data in datasets for video in data.videos)
    return kept, [video for video in videos if video.name in held_out]


def inspect(datasets: Sequence[Dataset], objects: int, tell: Tell) -> None:
    """Look through the data; InputError where something cannot be used."""
    reports = [inspect_dataset(data, objects, MOST_INSPECTED) for data in datasets]
    for report in reports:
        tell(str(report))
    if any(report.problems for report in reports):
        raise InputError("some of the data cannot be used, see above: correct it first")


def run(args: argparse.Namespace, world: World) -> None:
    """Train, or only try to."""
    tell: Tell = print if world.leads else _tell_nobody
    datasets = open_datasets(args.data)
    trainer, clips = prepare(args, world, datasets, tell)
    if args.dry_run:
        inspect(datasets, trainer.task.configuration()["objects"], tell)
        tell(str(dry_run(trainer, clips, args.dry_run)))
        return
    folder = RunFolder(args.run)
    if resume(trainer, folder):
        tell(f"{folder.checkpoint}: going on from step {trainer.step}")
    train(trainer, clips, folder)


def _tell_nobody(text: str) -> None:
    pass


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    torch.manual_seed(args.seed)
    return in_processes("training.vmos", args.device, args.threads, partial(run, args))


if __name__ == "__main__":
    sys.exit(main())
