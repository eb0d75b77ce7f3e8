"""Train HQ-SAM light from an image classifier: `python -m training.hqsam.light --run FOLDER ...`.

SAM's part and HQ-SAM's part learn together, on boxes, clicks and coarse masks. A run is a folder
as those of `training.hqsam`; if started again with the same arguments, it resumes.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch

from hqsam import HQSam, build_hqsam
from hqsam.light import BODY, STRIDES
from hqtrack import weights as known
from hqtrack.errors import InputError
from training.data.datasets import open_datasets
from training.engine.classifier import folded_body
from training.engine.command import in_processes
from training.engine.dry_run import dry_run
from training.engine.loop import resume, train
from training.engine.processes import World, choose_bf16
from training.engine.run_folder import RunFolder, read_checkpoint
from training.engine.trainer import Settings, Trainer
from training.hqsam.interactive import InteractiveTask
from training.hqsam.prompted import Prompted, PromptedObjects, Source, split_stills

HELD_OUT = (
    "dance-jump rhino scooter-gray bms_cars5 bms_tennis bms_marple13 bms_marple7 pumavos_caps "
    "segtrack_girl"
)
"""Scenes of the videos that are for measuring."""


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="training.hqsam.light", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--data", nargs="+", required=True, help="datasets, each [LAYOUT:]FOLDER[=SHARE]"
    )
    parser.add_argument(
        "--encoder", type=Path, help=f"ImageNet weights of {BODY} to start the encoder from"
    )
    parser.add_argument("--start", type=Path, help="run or weights of HQ-SAM light to start from")
    parser.add_argument(
        "--added-only",
        action="store_true",
        help="freeze SAM; only the tensors learn that HQ-SAM adds to it",
    )
    parser.add_argument(
        "--held-out", nargs="*", default=HELD_OUT.split(), help="scenes that are not learnt from"
    )
    parser.add_argument("--encoder-ratio", type=float, default=0.2)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, default=8, help="views per step")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--last-learning-rate", type=float, default=1e-5)
    parser.add_argument("--optimizer", choices=("adamw", "muon"), default="adamw")
    parser.add_argument("--warm-up", type=int, default=50)
    parser.add_argument("--average", type=float, default=0.995)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--save-every", type=int, default=50)
    parser.add_argument("--log-every", type=int, default=20)
    parser.add_argument("--sample-every", type=int, default=100)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", help="cpu or cuda (default: a GPU if there is one)")
    parser.add_argument("--bf16", choices=("auto", "on", "off"), default="auto")
    parser.add_argument("--dry-run", type=int, nargs="?", const=3, metavar="STEPS")
    return parser.parse_args(arguments)


def make_model(args: argparse.Namespace) -> HQSam:
    """The network at its start."""
    torch.manual_seed(args.seed)
    if args.start:
        return load_light(args.start)
    sam = build_hqsam("light")
    if args.encoder:
        body, told = folded_body(BODY, STRIDES, known.load(args.encoder))
        sam.image_encoder.body.load_state_dict(body)  # type: ignore[union-attr]
        print(f"{args.encoder}: {told}")
    return sam


def load_light(place: Path) -> HQSam:
    """HQ-SAM light from a file of weights, or the averaged weights of a run.

    Raises InputError where there are none, or those of another network.
    """
    if place.is_dir():
        state = read_checkpoint(RunFolder(place).checkpoint)["average"]
    else:
        state = known.load(place)
    try:
        return build_hqsam("light", state)
    except ValueError as error:
        raise InputError(f"{place}: {error}") from error


def sources(places: list[str], held_out: list[str]) -> list[Source]:
    """The stills and annotated frames to learn from, without what is held out."""
    found = []
    for dataset in open_datasets(places):
        images = split_stills(dataset)[0] + [
            video.frames[index]
            for video in dataset.videos
            if not {video.name, video.scene} & set(held_out)
            for index in video.annotated
        ]
        if not images:
            raise InputError(f"nothing to learn from in {dataset.name}: all of it is held out")
        found.append(Source(images, dataset.share))
    return found


def prepare(args: argparse.Namespace, world: World) -> tuple[Trainer[Prompted], PromptedObjects]:
    """The trainer at its start, and its data."""
    sam = make_model(args)
    bf16 = choose_bf16(args.bf16, world.device)
    names = (
        "steps batch learning_rate last_learning_rate optimizer warm_up average seed workers "
        "save_every log_every sample_every"
    )
    settings = Settings(**{name: getattr(args, name) for name in names.split()})
    objects = PromptedObjects(sources(args.data, args.held_out), sam.side, args.seed)
    task = InteractiveTask(sam, args.encoder_ratio, bf16, args.added_only)
    return Trainer(task, settings, world), objects


def run(args: argparse.Namespace, world: World) -> None:
    """Train, or take a few steps."""
    trainer, objects = prepare(args, world)
    if args.dry_run:
        print(dry_run(trainer, objects, args.dry_run))
        return
    folder = RunFolder(args.run)
    if resume(trainer, folder) and world.is_main:
        print(f"{folder.checkpoint}: resuming from step {trainer.step}")
    train(trainer, objects, folder)


def main(arguments: list[str] | None = None) -> int:
    args = parse(arguments)
    return in_processes("training.hqsam.light", args.device, args.threads, partial(run, args))


if __name__ == "__main__":
    sys.exit(main())
