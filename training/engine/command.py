"""Common parts of the training commands."""

from collections.abc import Callable

import cv2
import torch

from hqtrack.errors import exit_status
from training.engine.processes import World, join_processes
from training.engine.trainer import DivergedError


def in_processes(name: str, device: str | None, threads: int, run: Callable[[World], None]) -> int:
    """Run a training in one process, or in one of the processes of `torchrun`.

    Returns the exit status: 2 for an error that the user can fix, with a line on standard error
    that begins with the command's name.
    """
    cv2.setNumThreads(1)
    torch.set_num_threads(threads)

    def run_joined() -> None:
        with join_processes(device) as world:
            run(world)

    return exit_status(name, run_joined, DivergedError)


def measuring(name: str, threads: int, run: Callable[[], object]) -> int:
    """Measure in this process, with this many threads; returns the exit status."""
    cv2.setNumThreads(threads)
    torch.set_num_threads(threads)
    return exit_status(name, run)
