"""Shows the progress of a command on stderr."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

_SECONDS_BETWEEN_LINES = 10.0


def progress_on_stderr() -> Progress:
    """A display of tasks with name, bar, count and time left; a context manager."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True))


def speed_text(fps: float, digits: int = 1) -> str:
    """A speed as people read it: frames per second, or seconds per frame below one."""
    if fps >= 1 or fps <= 0:
        return f"{fps:.{digits}f} fps"
    return f"{1 / fps:.{digits}f} s/frame"


@contextmanager
def pace_on_stderr(total: int | None, exact: bool = True) -> Iterator[Callable[[], None]]:
    """Show how many frames of ``total`` are done, frames per second and the time left.

    Unless the total is ``exact``, it is shown as an estimate until more frames are done. A terminal
    gets a bar, anything else a line every ten seconds. Call what it gives after each frame.
    """
    about = "" if exact else "about "
    if not sys.stderr.isatty():
        lines = _Lines(total, about)
        try:
            yield lines.advance
        finally:
            lines.end()
        return
    first = SpinnerColumn() if total is None else BarColumn(None, table_column=Column(ratio=1))
    columns: list[ProgressColumn] = [first, _CountColumn("" if exact else "~"), _SpeedColumn()]
    if total is not None:
        columns.append(TimeRemainingColumn(compact=True))
    with Progress(*columns, console=Console(stderr=True), expand=total is not None) as progress:
        task = progress.add_task("", total=total)

        def advance() -> None:
            progress.advance(task)
            if not exact and total is not None and progress.tasks[0].completed > total:
                progress.tasks[0].total = None

        yield advance


class _Lines:
    """Plain lines; the speed is that since the previous line."""

    def __init__(self, total: int | None, about: str) -> None:
        self._total = total
        self._about = about
        self._done = self._done_before = 0
        self._before = time.monotonic()

    def advance(self) -> None:
        self._done += 1
        if time.monotonic() - self._before >= _SECONDS_BETWEEN_LINES:
            self.end()

    def end(self) -> None:
        """Print the progress, unless the last line already shows it."""
        if self._done == self._done_before:
            return
        now = time.monotonic()
        fps = (self._done - self._done_before) / max(now - self._before, 1e-9)
        total = self._total or 0
        line = f"frame {self._done}"
        if self._done <= total:
            line += f" of {self._about}{total}"
        line += f", {speed_text(fps)}"
        if self._done < total:
            line += f", {self._about}{(total - self._done) / fps:.0f} s left"
        print(line, file=sys.stderr)
        self._before, self._done_before = now, self._done


class _CountColumn(ProgressColumn):
    def __init__(self, about: str) -> None:
        super().__init__()
        self._about = about

    def render(self, task: Task) -> Text:
        total = "" if task.total is None else f"/{self._about}{task.total:.0f}"
        return Text(f"{task.completed:.0f}{total}")


class _SpeedColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("- fps" if speed is None else speed_text(speed))
