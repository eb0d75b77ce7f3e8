"""Provenance of results: the tracker writes a line per video into the ``logs`` of a workspace.

The toolkit stores masks and times, but nothing about the tracker. From the tracker's name, its
version and the checksums of its weights one can tell whether a result is up to date.
"""

import hashlib
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from hqtrack import environment, version
from hqtrack.environment import Settings
from hqtrack.errors import MissingFileError
from hqtrack.files import append_line, journal_lines
from hqtrack.presets import RULE_NAMES, find_tracker
from hqtrack.rules import rules_name
from hqtrack.tracker import HQTracker, Tracker

_SUFFIX = ".made.jsonl"


class Provenance(NamedTuple):
    """A tracker: its name, the version of hqtrack, the SHA-256 of each weight file, the device and
    data type of the computation, and the rules.
    """

    tracker: str
    version: str
    weights: dict[str, str]
    device: str
    dtype: str
    rules: str = RULE_NAMES[0]

    def differences(self, other: "Provenance") -> list[str]:
        """The differences that can change masks; the device is not one, as it changes little."""
        differing = []
        for name in ("tracker", "version", "rules"):
            if getattr(self, name) != getattr(other, name):
                differing.append(f"{name} {getattr(self, name)} is now {getattr(other, name)}")
        if self.weights != other.weights:
            names = {name for name, _ in self.weights.items() ^ other.weights.items()}
            differing.append(f"other weights: {', '.join(sorted(names))}")
        return differing


class Made(NamedTuple):
    """A note that a tracker started a video, at a time in seconds since 1970.

    ``image`` is the end of the path of the first frame: sequence, folder, file.
    """

    image: str
    time: float
    by: Provenance


def identity(
    name: str, device: str = "", dtype: str = "", settings: Settings | None = None
) -> Provenance:
    """The present provenance of a tracker of this name.

    ``settings`` are those of the environment in which it would be started, by default of this
    process. Raises InputError for a name that is none of ours and MissingFileError if weights are
    missing.
    """
    settings = settings or environment.read()
    preset = find_tracker(name)
    files = preset.files(settings)
    for path in files:
        if not path.is_file():
            raise MissingFileError(
                f"the weights {path} are missing: `hqtrack weights list` shows where to get them"
            )
    checksums = {path.name: _checksum(path) for path in files}
    rules = settings.rules or preset.rules
    return Provenance(name, version(), checksums, device, dtype, rules)


def provenance(name: str, tracker: Tracker) -> Provenance:
    """The provenance of this tracker, which has this name."""
    if not isinstance(tracker, HQTracker):
        return Provenance(name, version(), {}, "cpu", "")
    device = next(tracker.segmenter.model.parameters()).device
    dtype = str(tracker.segmenter.dtype).removeprefix("torch.")
    return identity(name, str(device), dtype)._replace(rules=rules_name(tracker.rules))


def sign(made_by: Provenance, image: Path) -> None:
    """Note in the image's workspace that the tracker starts a video.

    Without a workspace this writes nothing. Raises OSError if the file cannot be written.
    """
    workspace = _workspace_of(image)
    if workspace is None:
        return
    made = Made(image_key(image), time.time(), made_by)
    logs = workspace / "logs"
    logs.mkdir(exist_ok=True)
    fields = {**made._asdict(), "by": made_by._asdict()}
    append_line(logs / f"{made_by.tracker}{_SUFFIX}", fields)


def read_made(logs: Path) -> Iterator[Made]:
    """All notes of ``sign``; skips incomplete lines."""
    for path in sorted(logs.glob(f"*{_SUFFIX}")):
        for line in journal_lines(path, skip=True):
            try:
                yield Made(**{**line.value, "by": Provenance(**line.value["by"])})
            except (ValueError, TypeError, KeyError):
                continue


def image_key(image: Path) -> str:
    """The end of a frame's path, which identifies its sequence wherever the workspace is."""
    return "/".join(image.parts[-3:])


@cache  # the files are large, and the loaded weights do not change
def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _workspace_of(image: Path) -> Path | None:
    if given := environment.read().workspace:
        return given
    folders = (folder for folder in image.parents if (folder / "config.yaml").is_file())
    return next(folders, None)
