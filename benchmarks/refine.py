"""What refining one frame costs, for one object and for more: `python -m benchmarks.refine`."""

import argparse
import resource
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from hqsam import VARIANTS, build_hqsam
from hqtrack.refiner import MaskRefiner
from hqtrack.types import Image, Masks

HEIGHT, WIDTH = 480, 854


def make_frame(count: int) -> tuple[Image, Masks]:
    """A frame of noise and `count` rectangles of several sizes."""
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    masks = np.zeros((count, HEIGHT, WIDTH), np.bool_)
    for n, mask in enumerate(masks):
        top, left = 37 * n % (HEIGHT // 2), 71 * n % (WIDTH // 2)
        mask[top : top + 60 + 9 * n % 150, left : left + 80 + 13 * n % 200] = True
    return image, masks


class Cost(NamedTuple):
    """Seconds on the clock, and of computing summed over the threads."""

    wall: float
    cpu: float


def measure(refiner: MaskRefiner, counts: Sequence[int], rounds: int) -> list[Cost]:
    """The cheapest of several refinements for each number of objects, taken in turn."""
    costs: list[list[Cost]] = [[] for _ in counts]
    for _ in range(rounds):
        for spent, count in zip(costs, counts, strict=True):
            image, masks = make_frame(count)
            wall, cpu = time.perf_counter(), time.process_time()
            refiner.refine(image, masks)
            spent.append(Cost(time.perf_counter() - wall, time.process_time() - cpu))
    return [Cost(*map(min, zip(*spent, strict=True))) for spent in costs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", choices=VARIANTS, default="vit_b")
    parser.add_argument("--objects", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.manual_seed(0)
    model = build_hqsam(options.variant).to(options.device)
    costs = measure(MaskRefiner(model), options.objects, options.rounds)
    table = Table(
        *("objects", "seconds", "CPU seconds", "ratio of CPU seconds"),
        title=f"refine, {options.variant}, random weights",
    )
    for count, cost in zip(options.objects, costs, strict=True):
        ratio = cost.cpu / costs[0].cpu
        table.add_row(str(count), f"{cost.wall:.2f}", f"{cost.cpu:.2f}", f"{ratio:.2f}")
    console = Console()
    console.print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    console.print(f"{torch.get_num_threads()} threads; peak resident memory {peak:.2f} GiB")


if __name__ == "__main__":
    main()
