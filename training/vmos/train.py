"""Train a VMOS: `python -m training.vmos --run FOLDER --data DATA ...`.

A run is a folder with the newest checkpoint, the log, TensorBoard events and a sample picture. If
started again with the same arguments, it resumes where it stopped, with the same clips and the same
random generators. Under `torchrun` several processes share the work.
"""

import argparse
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args

import torch

from hqtrack.errors import InputError
from training.data.datasets import inspect_dataset, open_datasets
from training.data.sources import AnnotatedVideo, Dataset
from training.engine.command import in_processes
from training.engine.dry_run import dry_run
from training.engine.loop import resume, train
from training.engine.processes import World, choose_bf16
from training.engine.run_folder import RunFolder
from training.engine.trainer import Settings, Trainer
from training.vmos.clips import ClipConfig, Clips, RawClip
from training.vmos.recipes import HELD_OUT, HELP, LEAST, RECIPES, read_config
from training.vmos.rollout import LossConfig
from training.vmos.start import Tell, make_model
from training.vmos.task import VMOSTask
from vmos import VMOSConfig

Configuration = TypeVar("Configuration", Settings, ClipConfig, LossConfig)

MOST_INSPECTED = 1000
"""Images of a dataset that a dry run reads."""


LEAST |= dict.fromkeys(("warm_up", "workers", "sample_every", "evaluate_every"), 0)
"""Smallest values of options that are counts."""


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
        help="add what the encoder of --start lacks, and change nothing at first: blocks of an "
        "InternImage, or the context of a timm classifier, which --encoder gives",
    )
    parser.add_argument(
        "--encoder",
        type=Path,
        help="checkpoint of an InternImage or of the timm classifier to start the encoder from",
    )
    parser.add_argument(
        "--encoder-ratio",
        type=float,
        default=1.0,
        help="learning rate of the encoder, relative to the others",
    )
    parser.add_argument(
        "--held-out",
        nargs="*",
        default=HELD_OUT,
        help="videos for evaluation, never used for training",
    )
    _add_fields(parser)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", help="cpu or cuda (default: a GPU if there is one)")
    parser.add_argument(
        "--bf16",
        nargs="?",
        const="on",
        default="auto",
        choices=("auto", "on", "off"),
        help="compute in bfloat16 where it is safe (auto: if the GPU supports it)",
    )
    parser.add_argument(
        "--checkpointing", action="store_true", help="use less memory, but a third more time"
    )
    parser.add_argument(
        "--dry-run",
        type=int,
        nargs="?",
        const=3,
        metavar="STEPS",
        help="check the data, take a few steps and print their memory and time, but write nothing",
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


def prepare(
    args: argparse.Namespace, world: World, datasets: Sequence[Dataset], tell: Tell
) -> tuple[Trainer[RawClip], Clips]:
    """The trainer at its start, and its clips."""
    config, segmenter = read_config(args.config)
    _check(args, config)
    options = vars(args) | {
        "objects": config.objects,
        "bf16": choose_bf16(args.bf16, world.device),
    }
    training, held_out = split(datasets, args.held_out)
    clips = Clips(_pick(ClipConfig, options), training, args.seed)
    model, loss = make_model(args, config, clips, tell), _pick(LossConfig, options)
    task = VMOSTask(model, loss, segmenter, held_out, args.encoder_ratio, args.checkpointing)
    return Trainer(task, _pick(Settings, options), world), clips


def _check(args: argparse.Namespace, config: VMOSConfig) -> None:
    """Raise InputError for numbers out of range."""
    for flag, side in (("--size", args.size), ("--width", args.width or args.size)):
        if side % config.coarse_stride != 1:
            raise InputError(f"{flag} {side}: give a multiple of {config.coarse_stride} plus 1")
    for name, least in LEAST.items():
        if vars(args)[name] < least:
            flag = f"--{name.replace('_', '-')}"
            raise InputError(f"{flag} {vars(args)[name]}: give {least} or more")


def _pick(kind: type[Configuration], options: Mapping[str, Any]) -> Configuration:
    """A configuration of those options that are its fields."""
    return kind(**{field.name: options[field.name] for field in fields(kind)})


def split(
    datasets: Sequence[Dataset], held_out: Collection[str]
) -> tuple[list[Dataset], list[AnnotatedVideo]]:
    """The datasets without the videos of these names or scenes, and those videos.

    A scene is held out as a whole, see `AnnotatedVideo.scene`. Raises InputError if there is no
    video of a name that is not in `HELD_OUT`.
    """
    videos = [video for data in datasets for video in data.videos]
    names = {video.name for video in videos} | {video.scene for video in videos}
    unknown = sorted(set(held_out) - names - set(HELD_OUT))
    if unknown:
        raise InputError(f"--held-out {' '.join(unknown)}: no dataset has a video of that name")
    scenes = {video.scene for video in videos if {video.name, video.scene} & set(held_out)}
    kept = [
        replace(data, videos=tuple(video for video in data.videos if video.scene not in scenes))
        for data in datasets
    ]
    return kept, [video for video in videos if video.scene in scenes]


def inspect(datasets: Sequence[Dataset], objects: int, tell: Tell) -> None:
    """Check the data; raises InputError if something cannot be used."""
    reports = [inspect_dataset(data, objects, MOST_INSPECTED) for data in datasets]
    for report in reports:
        tell(str(report))
    if any(report.problems for report in reports):
        raise InputError("some of the data cannot be used, see above: correct it first")


def run(args: argparse.Namespace, world: World) -> None:
    """Train, or take a few steps with --dry-run."""
    tell: Tell = print if world.is_main else _tell_nothing
    datasets = open_datasets(args.data)
    trainer, clips = prepare(args, world, datasets, tell)
    if args.dry_run:
        inspect(datasets, trainer.task.configuration()["objects"], tell)
        tell(str(dry_run(trainer, clips, args.dry_run)))
        return
    folder = RunFolder(args.run)
    if resume(trainer, folder):
        tell(f"{folder.checkpoint}: resuming from step {trainer.step}")
    train(trainer, clips, folder)


def _tell_nothing(text: str) -> None:
    pass


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    torch.manual_seed(args.seed)
    return in_processes("training.vmos", args.device, args.threads, partial(run, args))
