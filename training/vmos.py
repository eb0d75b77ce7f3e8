"""Train a VMOS: `python -m training.vmos --help`.

A run is a folder with the newest checkpoint, the log and a sample picture. Started again with
the same arguments it goes on where it stopped, with the same random numbers.
"""

import argparse
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from timm.utils.model_ema import ModelEmaV3
from torch import nn
from torch.utils.data import DataLoader, Subset

from hqtrack.errors import InputError
from hqtrack.light import LIGHT_VMOS
from hqtrack.progress import progress_on_stderr
from training.clips import Clip, ClipConfig, Clips
from training.rollout import LossConfig, Outcome, roll_out
from vmos import VMOS, VMOSConfig, build_vmos

HELD_OUT = ("dance-jump", "rhino", "scooter-gray")
"""Training sequences that are kept for choosing between models."""

CONFIGS = {"light": LIGHT_VMOS, "full": VMOSConfig()}


@dataclass(frozen=True)
class Schedule:
    """Optimisation: AdamW, linear warm-up, polynomial decay."""

    steps: int
    batch: int = 4
    rate: float = 1e-3
    last_rate: float = 2e-5
    warm_up: int = 50
    weight_decay: float = 0.03
    clip: float = 5.0
    average: float = 0.998
    seed: int = 0

    def rate_at(self, step: int) -> float:
        """Learning rate of step number `step`, counted from 0."""
        decayed = (1 - step / self.steps) ** 0.9 * (self.rate - self.last_rate) + self.last_rate
        return decayed * min(1.0, (step + 1) / self.warm_up)


class Trainer:
    """A model in training: weights, their average, the optimizer and the position in the data."""

    def __init__(
        self,
        model: VMOS,
        schedule: Schedule,
        loss: LossConfig,
        device: torch.device,
        bf16: bool = False,
    ) -> None:
        self.model = model.to(device).train()
        self.schedule = schedule
        self.loss = loss
        self.device = device
        self.bf16 = bf16
        self.average = ModelEmaV3(self.model, decay=schedule.average, use_warmup=True)
        self.optimizer = torch.optim.AdamW(_groups(model, schedule.weight_decay), lr=schedule.rate)
        self.generator = torch.Generator().manual_seed(schedule.seed)
        self.step = 0

    def advance(self, batch: Clip) -> Outcome:
        """One step on a batch of clips."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate_at(self.step)
        frames, labels = (part.to(self.device, non_blocking=True) for part in batch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            outcome = roll_out(self.model, frames, labels, self.loss, self.generator)
        self.optimizer.zero_grad(set_to_none=True)
        outcome.loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.schedule.clip)
        self.optimizer.step()
        self.average.update(self.model, self.step)
        self.step += 1
        return outcome

    def save(self, path: Path) -> None:
        """Write everything that an exact continuation needs; the file is replaced at once."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
            "schedule": asdict(self.schedule),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, path)

    def resume(self, path: Path) -> None:
        """Go on from what `save` wrote, under the present schedule."""
        state: dict[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.module.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"].cpu())
        self.step = state["step"]


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices and kernels, none for norms, scales and biases."""
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def initialise(model: VMOS) -> VMOS:
    """Start every DCNv3 as a plain average of its nine neighbours, in place."""
    for name, parameter in model.named_parameters():
        if ".dcn.offset." in name or ".dcn.mask." in name:
            nn.init.zeros_(parameter)
    return model


def batches(clips: Clips, batch: int, first_step: int, steps: int, workers: int) -> Iterator[Clip]:
    """The batches of steps `first_step`.. `steps`; step s has clips s*batch.. of the supply."""
    rest = Subset(clips, range(first_step * batch, steps * batch))
    yield from DataLoader(
        rest, batch_size=batch, num_workers=workers, persistent_workers=workers > 0
    )


def train(trainer: Trainer, clips: Clips, run: Path, workers: int, save_every: int) -> None:
    """Train to the end of the schedule; leaves `checkpoint.pt` and `log.jsonl` in the folder."""
    schedule = trainer.schedule
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
    supply = batches(clips, schedule.batch, trainer.step, schedule.steps, workers)
    recent: list[Outcome] = []
    started = time.monotonic()
    with progress_on_stderr() as progress:
        task = progress.add_task("steps", total=schedule.steps, completed=trainer.step)
        for batch in supply:
            recent.append(trainer.advance(batch))
            progress.update(task, completed=trainer.step)
            if trainer.step % 20 == 0:
                row = _summary(trainer.step, recent, time.monotonic() - started)
                progress.update(task, description=f"loss {row['loss']:.3f} J {row['J']:.3f}")
                with (run / "log.jsonl").open("a") as log:
                    log.write(json.dumps(row) + "\n")
                recent.clear()
            if trainer.step % save_every == 0 or stopping:
                trainer.save(run / "checkpoint.pt")
            if stopping:
                return
    trainer.save(run / "checkpoint.pt")


def _summary(step: int, outcomes: list[Outcome], seconds: float) -> dict[str, float]:
    columns = np.array([(o.loss.item(), o.segmentation, o.transport, o.jaccard) for o in outcomes])
    loss, segmentation, transport, jaccard = columns.mean(axis=0).round(4).tolist()
    return {
        "step": step,
        "loss": loss,
        "segmentation": segmentation,
        "transport": transport,
        "J": jaccard,
        "seconds": round(seconds),
    }


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="training.vmos", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument("--config", choices=CONFIGS, default="light")
    parser.add_argument("--data", type=Path, required=True, help="folder with davis_train, stills")
    parser.add_argument(
        "--start", type=Path, help="checkpoint whose averaged weights to start from"
    )
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--last-rate", type=float, default=2e-5)
    parser.add_argument("--size", type=int, default=97, help="side of the clips, pixels")
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--video", type=float, default=0.4, help="share of real video")
    parser.add_argument("--max-gap", type=int, default=6, help="most video frames between two")
    parser.add_argument("--truth", type=float, default=0.5, help="share of true labels in memory")
    parser.add_argument("--stale", type=float, default=0.0, help="share of stale labels in memory")
    parser.add_argument("--reference-only", type=float, default=0.0, help="share of short memories")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--save-every", type=int, default=50)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--bf16", action="store_true", help="compute in bfloat16 where it is safe")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    args = parse(arguments)
    cv2.setNumThreads(1)
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    folders = sorted(args.data.glob("davis_train/*/"))
    if not folders:
        raise InputError(f"no sequences in {args.data / 'davis_train'}: give the data folder")
    config = CONFIGS[args.config]
    clips = Clips(
        ClipConfig(
            args.size, args.frames, args.video, max_gap=args.max_gap, objects=config.objects
        ),
        [folder for folder in folders if folder.name not in HELD_OUT],
        args.data / "stills",
        args.seed,
        args.steps * args.batch,
    )
    schedule = Schedule(args.steps, args.batch, args.rate, args.last_rate, seed=args.seed)
    model = initialise(build_vmos(config))
    if args.start:
        model = build_vmos(
            config, torch.load(args.start, map_location="cpu", weights_only=True)["average"]
        )
    loss = LossConfig(truth=args.truth, stale=args.stale, reference_only=args.reference_only)
    trainer = Trainer(model, schedule, loss, torch.device(args.device), args.bf16)
    args.run.mkdir(parents=True, exist_ok=True)
    checkpoint = args.run / "checkpoint.pt"
    if checkpoint.exists():
        trainer.resume(checkpoint)
    train(trainer, clips, args.run, args.workers, args.save_every)


if __name__ == "__main__":
    main()
