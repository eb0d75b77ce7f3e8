"""Results of workers, written where the toolkit looks for them."""

from pathlib import Path

from hqtrack.errors import InputError
from hqtrack.evaluation.worker import Outcome
from hqtrack.evaluation.workspace import Task
from hqtrack.files import append_lines, replacing


def results_of(task: Task) -> str:
    """The folder of a task's results."""
    base: str = task.experiment.results(task.tracker, task.sequence)._storage.base
    return base


def check_writable(folder: Path) -> None:
    """Raise InputError unless files can be written to the folder, which may have to be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.write_bytes(bytes(4096))
        probe.unlink()
    except OSError as error:
        raise _not_written(folder, error) from error


def store(task: Task, outcome: Outcome, workspace: Path) -> None:
    """Put results where the toolkit would, and logs too.

    Masks come last, and each file at once: the toolkit takes a sequence with masks for done.
    Raises InputError where that cannot be written.
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
        f"cannot write results to {folder}: {error.strerror}; make room or allow it, then run this "
        "again: what is done stays done"
    )
