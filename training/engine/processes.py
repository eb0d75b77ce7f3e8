"""The processes of a training, one or those of `torchrun`, and how they stop together."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.sharedctypes import RawValue
from types import FrameType

import torch
from torch import Tensor
from torch import distributed as dist

from hqtrack.build import choose_device
from training.engine.task import Batch

PATIENCE = timedelta(hours=2)
"""How long processes wait for the main process while it saves or evaluates."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class World:
    """This process (`rank`) among the `size` processes of the training, and its device."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the main process, which writes, draws and evaluates."""
        return self.rank == 0

    def take(self, batch: Batch) -> Batch:
        """The batch on the device."""
        return type(batch)(*(part.to(self.device, non_blocking=True) for part in batch))

    def mean(self, values: Tensor) -> Tensor:
        """The mean of the processes' float tensors, in place; every process has to call it."""
        if self.size > 1:
            dist.all_reduce(values)
            values /= self.size
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process; every process has to call it."""
        share = torch.tensor(float(flag), device=self.device)
        return self.mean(share).item() > 0 if self.size > 1 else flag

    def wait(self) -> None:
        """Wait until all processes have called it."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def join_processes(device: str | None = None) -> Iterator[World]:
    """Join the processes of `torchrun`; without it, this is the only process.

    Takes the name of a device, by default a GPU if there is one. Under `torchrun`, "cuda" means one
    GPU per process. GPUs communicate through nccl, CPUs through gloo.
    """
    chosen = choose_device(device)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(chosen)
        return
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield World(chosen, dist.get_rank(), size)
    finally:
        dist.destroy_process_group()


class Stop:
    """Whether a signal has asked this process to stop."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Note the signal, and restore its usual effect for the next time."""
        self.asked = True
        signal.signal(
            number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        )


@contextmanager
def stopping_on_signals() -> Iterator[Stop]:
    """In the block, the first Ctrl-C or SIGTERM asks to stop; a second one stops immediately."""
    stop = Stop()
    before = {number: signal.signal(number, stop.ask) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Helpers:
    """Protects the loading processes from Ctrl-C and SIGTERM as long as they are needed.

    Otherwise a signal to the process group would end them before the training has saved.
    """

    def __init__(self) -> None:
        self._dismissed = RawValue("b", 0)

    def start(self, number: int) -> None:
        """Called in loading process `number` when it starts."""
        for each in SIGNALS:
            signal.signal(each, self._handle)

    def dismiss(self) -> None:
        """Let signals end them from now on."""
        self._dismissed.value = 1

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._dismissed.value:
            os._exit(0)


def choose_bf16(choice: str, device: torch.device) -> bool:
    """Whether to compute in bfloat16; "auto" does if the GPU supports it."""
    if choice == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return choice == "on"
