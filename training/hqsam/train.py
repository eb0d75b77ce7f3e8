"""Train HQ-SAM: `python -m training.hqsam --variant vit_b --run FOLDER --weights FILE --data DATA`.

SAM is frozen; the 25 tensors that HQ-SAM adds to it learn.

A run is a folder with the newest checkpoint, the log, TensorBoard events and a sample picture. If
started again with the same arguments, it resumes where it stopped, with the same samples and the
same random generators. Under `torchrun` several processes share the work. The defaults are the
published recipe.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import torch
from rich.console import Console
from safetensors.torch import save_file
from timm.scheduler.scheduler import Scheduler
from timm.scheduler.step_lr import StepLRScheduler
from torch.optim import Optimizer

from hqsam import VARIANTS, HQSam, build_hqsam
from hqtrack.errors import InputError
from hqtrack.files import replacing
from training.data.datasets import inspect_dataset
from training.data.sources import Annotated, Dataset
from training.engine.command import in_processes
from training.engine.dry_run import dry_run
from training.engine.loop import resume, train
from training.engine.processes import World, choose_bf16
from training.engine.run_folder import RunFolder, read_checkpoint
from training.engine.trainer import Settings, Trainer
from training.hqsam.data import Examples, Objects, open_stills
from training.hqsam.measures import measure, table
from training.hqsam.model import load_start
from training.hqsam.task import HQSamTask

EPOCHS = 12
"""Epochs of the published recipe; in the last sixth the learning rate is a tenth."""

PUBLISHED = Settings(
    steps=0,
    batch=32,
    learning_rate=1e-3,
    warm_up=0,
    weight_decay=0.0,
    clip=math.inf,
    average=0.0,
    seed=42,
    workers=2,
    save_every=500,
    log_every=50,
)
"""Adam without weight decay, clipping and moving average; 4 samples on each of 8 GPUs."""

MOST_INSPECTED = 1000
"""Images of a dataset that a dry run reads."""

HELP = {
    "batch": "samples per step, over all processes",
    "learning_rate": "learning rate; at the end a tenth of it",
    "average": "decay of the moving average of the weights, 0 for none",
    "seed": "seed of new tensors, samples and random generators",
    "workers": "processes that read images, for each process of the training",
    "save_every": "steps between checkpoints",
    "log_every": "steps between lines of the log",
    "sample_every": "steps between sample pictures, 0 for none",
    "evaluate_every": "steps between evaluations on the held-out images, 0 for none",
}
"""Options that are fields of `Settings`; their defaults are those of the published recipe."""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="training.hqsam", description=__doc__)
    parser.add_argument("--variant", choices=VARIANTS, required=True)
    parser.add_argument("--run", type=Path, help="folder of the run")
    parser.add_argument(
        "--weights", type=Path, help="SAM (vit_tiny: MobileSAM) or HQ-SAM to start from"
    )
    parser.add_argument(
        "--data", type=Path, nargs="+", default=[], help="HQSeg-44K, or folders of stills"
    )
    parser.add_argument(
        "--held-out",
        type=Path,
        nargs="+",
        default=[],
        help="like --data, for evaluation during training",
    )
    parser.add_argument("--epochs", type=float, default=EPOCHS, help="passes over the images")
    parser.add_argument("--steps", type=int, help="steps of the complete run, instead of --epochs")
    for name, text in HELP.items():
        default = getattr(PUBLISHED, name)
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=type(default), default=default, help=text)
    parser.add_argument(
        "--most", type=int, help="largest number of images of each dataset to evaluate or check"
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", help="cpu or cuda (default: a GPU if there is one)")
    parser.add_argument(
        "--bf16",
        choices=("auto", "on", "off"),
        default="auto",
        help="compute in bfloat16 where it is safe (auto: if the GPU supports it)",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--dry-run",
        type=int,
        nargs="?",
        const=2,
        metavar="STEPS",
        help="check the data, take a few steps and print their memory and time, but write "
        "nothing; without --weights, use random weights",
    )
    instead.add_argument(
        "--evaluate",
        action="store_true",
        help="only evaluate --weights, or the run based on them, on --data (the validation sets "
        "of HQSeg-44K)",
    )
    instead.add_argument(
        "--export",
        type=Path,
        metavar="FILE",
        help="only write --weights with the tensors of the run as an HQ-SAM checkpoint with the "
        "official keys, .pth or .safetensors",
    )
    args = parser.parse_args(arguments)
    if not args.weights and not args.dry_run:
        parser.error("give --weights")
    if not args.run and not args.dry_run and not args.evaluate:
        parser.error("give --run")
    if not args.data and not args.export:
        parser.error("give --data")
    return args


def drop_late(optimizer: Optimizer, settings: Settings) -> Scheduler:
    """The published schedule: a tenth of the learning rate after ten of twelve epochs."""
    late = math.ceil(settings.steps * 10 / 12)
    return StepLRScheduler(optimizer, decay_t=late, decay_rate=0.1, t_in_epochs=False)


def make_sam(args: argparse.Namespace) -> HQSam:
    """The initial model; in a dry run without --weights a random one."""
    torch.manual_seed(args.seed)
    if args.weights:
        return load_start(args.variant, args.weights)
    return build_hqsam(args.variant)


def trained_sam(args: argparse.Namespace) -> HQSam:
    """The initial model, or with --run the model with the averaged tensors of the run."""
    task = HQSamTask(args.variant, make_sam(args))
    if args.run:
        file = RunFolder(args.run).checkpoint
        state = read_checkpoint(file)
        if state.get("configuration") != task.configuration():
            raise InputError(
                f"{file} belongs to {state.get('configuration')}, not to {task.configuration()}: "
                "give the variant with which the run was started"
            )
        task.model.load_state_dict(state["average"])
    return task.model.sam


def prepare(
    args: argparse.Namespace, datasets: Sequence[Dataset], world: World
) -> tuple[Trainer[Examples], Objects]:
    """The trainer at its start, and its data."""
    stills = [still for dataset in datasets for still in dataset.images]
    held_out = [still for dataset in open_stills(args.held_out, True) for still in dataset.images]
    settings = replace(
        PUBLISHED,
        steps=args.steps or math.ceil(args.epochs * len(stills) / args.batch),
        bf16=choose_bf16(args.bf16, world.device),
        **{name: getattr(args, name) for name in HELP},
    )
    if settings.evaluate_every and not held_out:
        raise InputError("--evaluate-every needs images for evaluation: give --held-out")
    task = HQSamTask(args.variant, make_sam(args), held_out)
    return Trainer(task, settings, world, drop_late), Objects(stills, args.seed)


def evaluate(args: argparse.Namespace, device: torch.device) -> None:
    """Print mIoU and boundary mIoU of SAM and HQ-SAM."""
    datasets = open_stills(args.data, validation=True)
    sam = trained_sam(args).to(device)
    rows = {}
    for dataset in datasets:
        images = _spread(dataset.images, args.most)
        rows[dataset.name] = (len(images), measure(sam, images, dataset.name))
    Console().print(table(rows))


def _spread(images: Sequence[Annotated], most: int | None) -> list[Annotated]:
    """At most ``most`` of the images, evenly spread."""
    count = min(most or len(images), len(images))
    return [images[n] for n in np.linspace(0, len(images) - 1, count).astype(int)]


def try_out(args: argparse.Namespace, world: World) -> None:
    """Check the data and take a few steps; raises InputError if data cannot be used."""
    datasets = open_stills(args.data)
    reports = [inspect_dataset(data, sys.maxsize, args.most or MOST_INSPECTED) for data in datasets]
    if world.is_main:
        print("\n".join(str(report) for report in reports))
    if any(report.problems or report.empty for report in reports):
        raise InputError("some of the data cannot be used, see above: correct or remove it first")
    trainer, objects = prepare(args, datasets, world)
    taken = dry_run(trainer, objects, args.dry_run)
    if world.is_main:
        sam = cast(HQSamTask, trainer.task).model.sam
        size = sum(parameter.numel() for parameter in sam.parameters())
        print(f"HQ-SAM {args.variant}: {size:,} parameters; those in training:\n{taken}")


def write_checkpoint(sam: HQSam, file: Path) -> None:
    """Write a complete HQ-SAM with the official keys, .pth or .safetensors, atomically.

    Raises InputError if it cannot be written.
    """
    tensors = {key: value.contiguous() for key, value in sam.state_dict().items()}
    try:
        with replacing(file) as part:
            if file.suffix == ".safetensors":
                save_file(tensors, part, metadata={"format": "pt"})
            else:
                torch.save(tensors, part)
    except (OSError, RuntimeError) as error:
        raise InputError(f"cannot write {file} ({error}): make room or give another") from error


def run(args: argparse.Namespace, world: World) -> None:
    """Train, or what is asked for instead."""
    if args.evaluate or args.export:
        if world.is_main and args.evaluate:
            evaluate(args, world.device)
        elif world.is_main:
            write_checkpoint(trained_sam(args), args.export)
        return
    if args.dry_run:
        try_out(args, world)
        return
    trainer, objects = prepare(args, open_stills(args.data), world)
    folder = RunFolder(args.run)
    if resume(trainer, folder) and world.is_main:
        print(f"{folder.checkpoint}: resuming from step {trainer.step}")
    train(trainer, objects, folder)


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    return in_processes("training.hqsam", args.device, args.threads, partial(run, args))
