"""Writes the results of workers where the toolkit looks for them."""

from pathlib import Path

from hqtrack.errors import InputError
from hqtrack.evaluation.worker import Outcome
from hqtrack.evaluation.workspace import Task
from hqtrack.files import append_lines, replacing


def results_of(task: Task) -> str:
    """The folder for the results of a task."""
    base: str = task.experiment.results(task.tracker, task.sequence)._storage.base
    return base


def check_writable(folder: Path) -> None:
    """Create the folder if needed; raise InputError unless it is writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.write_bytes(bytes(4096))
        probe.unlink()
    except OSError as error:
        raise _not_written(folder, error) from error


def store(task: Task, outcome: Outcome, workspace: Path) -> None:
    """Write results and logs where the toolkit would.

    Masks are written last, and each file atomically, because for the toolkit a sequence with masks
    is done. Raises InputError if the folder is not writable.
    """
    folder = Path(results_of(task))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not outcome.error:
            for name in sorted(outcome.files, key=lambda name: not name.endswith(".value")):
                with replacing(folder / name) as part:
                    part.write_bytes(outcome.files[name])
        (workspace / "logs").mkdir(exist_ok=True)
        for name, content in outcome.signed.items():
            append_lines(workspace / "logs" / name, content)
        if outcome.log:
            with task.experiment.log(task.tracker.identifier) as file:
                file.write(outcome.log)
    except OSError as error:
        raise _not_written(folder, error) from error


def _not_written(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"cannot write results to {folder}: {error.strerror}; free some space or make the "
        "folder writable, then run this again: finished sequences are kept"
    )
