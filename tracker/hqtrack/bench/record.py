"""The record of measurements: predictions and results.

A record is a folder with one JSON file per run. The prediction is written before measuring.
"""

import json
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from hqtrack.errors import InputError
from hqtrack.files import replacing


@dataclass(frozen=True)
class Entry:
    """A run.

    Attributes:
        number: counts the runs of a record, from 1.
        date: the day, UTC.
        commit: the measured commit; with a + if files differed from it.
        measure: the name of the measurement.
        change: what changed since the run before.
        prediction: the expected result.
        setup: the setup of the measurement.
        machine: facts about the machine that affect the result.
        headline: the main numbers, by name; None while it runs, or if it failed.
        result: all measured numbers.
    """

    number: int
    date: str
    commit: str
    measure: str
    change: str
    prediction: str
    setup: dict[str, Any]
    machine: dict[str, Any]
    headline: dict[str, float] | None = None
    result: dict[str, Any] | None = None


Finish = Callable[[Mapping[str, float], Mapping[str, Any]], None]
"""A function of the main numbers, by name, and of all measured numbers."""


@dataclass(frozen=True)
class Expectation:
    """The folder of a record, what was changed since the run before, and what is expected of it."""

    record: Path
    change: str
    prediction: str


def begin(
    expected: Expectation | None,
    measure: str,
    setup: Mapping[str, Any],
    machine: Mapping[str, Any],
) -> Finish:
    """Save the prediction, if there is one; returns a function that saves the result."""
    if expected is None:
        return lambda headline, result: None
    folder = expected.record
    number = max((entry.number for entry in read_record(folder)), default=0) + 1
    day = time.strftime("%Y-%m-%d", time.gmtime())
    told = (expected.change, expected.prediction, dict(setup), dict(machine))
    entry = Entry(number, day, _commit(), measure, *told)
    _write(folder, entry)

    def finish(headline: Mapping[str, float], result: Mapping[str, Any]) -> None:
        _write(folder, replace(entry, headline=dict(headline), result=dict(result)))

    return finish


def read_record(folder: Path) -> list[Entry]:
    """The runs in a folder, in order; raises InputError for a file that is not a run."""
    entries = []
    for path in sorted(folder.glob("*.json")):
        try:
            entries.append(Entry(**json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path} is not a run of a benchmark ({error}): remove it") from error
    return entries


def history(entries: Sequence[Entry]) -> Table:
    """Prediction and result of each run; ``was`` is the previous result on the same machine."""
    table = Table(*("run", "commit", "what", "change", "prediction", "result"))
    for index, entry in enumerate(entries):
        before = next((e for e in reversed(entries[:index]) if _comparable(e, entry)), None)
        table.add_row(
            f"{entry.number} {entry.date}",
            entry.commit,
            _words(entry),
            entry.change,
            entry.prediction,
            _result(entry, before),
        )
    return table


def _comparable(before: Entry, entry: Entry) -> bool:
    same = (before.measure, before.setup, before.machine) == (
        entry.measure,
        entry.setup,
        entry.machine,
    )
    return same and before.headline is not None


def _words(entry: Entry) -> str:
    """The measurement, its main settings and the hardware."""
    setup, machine = entry.setup, entry.machine
    named = [str(setup[name]) for name in ("preset", "variant", "size") if setup.get(name)]
    counted = [f"{name} {setup[name]}" for name in ("objects", "memory") if name in setup]
    computed = [str(setup[name]) for name in ("device", "dtype") if name in setup]
    hardware = machine.get("gpu") or f"{machine['processor']}, {machine.get('threads')} threads"
    return f"{entry.measure}: {', '.join([' '.join(named), *counted, *computed, hardware])}"


def _result(entry: Entry, before: Entry | None) -> str:
    if entry.headline is None:
        return "no result"
    was = {} if before is None or before.headline is None else before.headline
    return "\n".join(
        f"{name} {value:.4g}" + (f" (was {was[name]:.4g})" if name in was else "")
        for name, value in entry.headline.items()
    )


def _write(folder: Path, entry: Entry) -> None:
    text = json.dumps(asdict(entry), indent=1)
    path = folder / f"{entry.number:04d}-{entry.measure}.json"
    with replacing(path) as part:
        part.write_text(f"{text}\n", encoding="utf-8")


def _commit() -> str:
    """The commit of the checkout that contains this file, empty if there is none."""
    git = ("git", "-C", str(Path(__file__).parent))
    try:
        commit, changes = (
            subprocess.run([*git, *command], capture_output=True, text=True, check=True).stdout
            for command in (("rev-parse", "--short", "HEAD"), ("diff", "--stat", "HEAD"))
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit.strip() + ("+" if changes else "")
