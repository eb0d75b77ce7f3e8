"""The folder of a run: its checkpoint, log, TensorBoard events and sample picture."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter

from hqtrack.errors import InputError, MissingFileError
from hqtrack.files import append_line, journal_lines, replacing
from hqtrack.types import Image
from hqtrack.video.images import write_image

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
PICTURE = "sample.png"


def read_checkpoint(file: Path) -> dict[str, Any]:
    """Read a checkpoint of `RunFolder.save`, on the CPU.

    Raises MissingFileError if there is none, InputError if it is broken or something else.
    """
    if not file.is_file():
        raise MissingFileError(f"there is no checkpoint {file}: give the folder of a run")
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # its type depends on the damage
        raise InputError(
            f"{file} cannot be read as a checkpoint ({type(error).__name__}): it is broken or "
            "something else; move it away to start a new run"
        ) from error
    if not isinstance(state, dict) or not {"model", "average", "optimizer", "step"} <= set(state):
        raise InputError(f"{file} is not a checkpoint of a training run: give the folder of one")
    return state


class RunFolder:
    """The files of a run; only one process may write.

    If a file cannot be written, InputError is raised, and the last good checkpoint stays.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._events: SummaryWriter | None = None

    @property
    def checkpoint(self) -> Path:
        """The newest checkpoint."""
        return self.folder / CHECKPOINT

    def open(self, step: int) -> None:
        """Create the folder, and delete the log after `step`: these steps will be repeated."""
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            log = self.folder / LOG
            rows = [line.value for line in journal_lines(log, skip=True)]
            kept = [row for row in rows if isinstance(row, dict) and row.get("step", inf) <= step]
            with replacing(log) as part:
                part.write_text("".join(f"{json.dumps(row)}\n" for row in kept))
            self._events = SummaryWriter(self.folder, purge_step=step + 1)

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint atomically."""
        with (
            self._writing(),
            replacing(self.checkpoint) as part,
            part.open("wb") as file,
        ):
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())

    def log(self, step: int, row: Mapping[str, float]) -> None:
        """Add a line of numbers."""
        with self._writing():
            append_line(self.folder / LOG, {"step": step, **row})
            if self._events:
                for name, value in row.items():
                    self._events.add_scalar(name, value, step)

    def show(self, step: int, picture: Image) -> None:
        """Replace the sample picture."""
        with self._writing():
            write_image(self.folder / PICTURE, picture)
            if self._events:
                self._events.add_image("sample", picture, step, dataformats="HWC")

    def close(self) -> None:
        """Close the TensorBoard events."""
        if self._events:
            self._events.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:  # torch.save raises RuntimeError
            raise InputError(
                f"cannot write to {self.folder} ({error}): free some space or give another folder; "
                "if you start the run again, it resumes from its last good checkpoint"
            ) from error
