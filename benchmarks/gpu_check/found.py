"""What a step finds, kept on disk while it runs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hqtrack.files import replacing

PASSED, FAILED, TIMED_OUT, NOT_RUN = "passed", "failed", "timed out", "not run"


class NotRun(Exception):
    """A step cannot run here; the message says why."""


class CheckFailed(Exception):
    """A step has run, and something is wrong; the message says what."""


@dataclass(frozen=True)
class Options:
    """What all steps are told.

    Attributes:
        out: folder of JSON and logs.
        dry: run every step on the CPU at toy sizes.
        sequence: a sequence for the last step; None for a generated one.
    """

    out: Path
    dry: bool = False
    sequence: Path | None = None


class Found:
    """The numbers of a step. What was put before a step is killed is in its file."""

    def __init__(self, path: Path) -> None:
        """``path``: the JSON file."""
        self._path = path
        self._values: dict[str, Any] = {}

    def put(self, name: str, value: Any) -> None:
        """Keep a JSON value under this name, print it, and write the file."""
        self._values[name] = value
        print(f"{name}: {json.dumps(value)}", flush=True)
        write_json(self._path, self._values)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a file by this value."""
    with replacing(path) as part:
        part.write_text(json.dumps(value, indent=1) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The value in a file; empty if there is no file, or no object in it."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
