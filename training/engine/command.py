"""Common parts of the training commands."""

import sys
from collections.abc import Callable

import cv2
import torch

from hqtrack.errors import InputError
from training.engine.processes import World, join_processes
from training.engine.trainer import DivergedError


def in_processes(name: str, device: str | None, threads: int, run: Callable[[World], None]) -> int:
    """Run a training in one process, or in one of the processes of `torchrun`.

    Returns the exit status: 2 for an error that the user can fix, with a line on standard error
    that begins with the command's name.
    """
    cv2.setNumThreads(1)
    torch.set_num_threads(threads)
    try:
        with join_processes(device) as world:
            run(world)
    except (InputError, DivergedError) as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return 2
    return 0
