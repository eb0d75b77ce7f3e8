"""The demonstration: the VOT toolkit evaluates HQTrackLight on generated sequences.

``python -m hqtrack.demo``, from a checkout, fills vot_workspace/demo, runs ``vot evaluate`` and
``vot analysis`` there and prints the measures of HQTrackLight and of the baseline.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from hqtrack.errors import InputError, MissingFileError
from hqtrack.evaluation.make_workspace import REGISTRY, add_sequences
from hqtrack.evaluation.workspace import Broken, find_tasks, find_trackers, open_workspace
from hqtrack.presets import FIRST_MASK, LIGHT
from hqtrack.regions import from_toolkit, to_masks
from hqtrack.synthetic import DEMO_SEEDS, generate
from hqtrack.types import Image
from hqtrack.video import find_sequences, write_sequence
from hqtrack.video.images import write_image
from hqtrack.video.overlay import draw_masks

TRACKERS = (LIGHT.tracker, FIRST_MASK.tracker)

_NAME = "demo"
_WORKSPACE = REGISTRY.parent / "vot_workspace" / _NAME
_OBJECTS_AND_FRAMES = ((2, 40), (3, 36), (4, 36), (5, 36), (8, 30), (12, 30))
"""Of the sequence of each of DEMO_SEEDS."""

_OVERLAY_FRAMES = 5


class Measures(NamedTuple):
    """The toolkit's measures, each in [0, 1].

    ``quality`` is the overlap over all frames, ``accuracy`` the overlap while the tracker follows
    the object, and ``robustness`` the share of frames on which it does.
    """

    quality: float
    accuracy: float
    robustness: float


class Analysis(NamedTuple):
    """The measures of each tracker: over all sequences, and by sequence."""

    overall: dict[str, Measures]
    by_sequence: dict[str, dict[str, Measures]]


def main() -> int:
    """Run the demonstration; the exit status is 0 if all results are there."""
    console = Console()
    try:
        if not (_WORKSPACE / "config.yaml").exists():
            raise MissingFileError(
                f"there is no workspace {_WORKSPACE}: run the demonstration from a checkout of "
                "hqtrack"
            )
        if not (_WORKSPACE / "sequences" / "list.txt").exists():
            console.rule("Generating sequences")
            _generate(_WORKSPACE)
        console.rule("vot evaluate")
        start = time.monotonic()
        # results of an earlier run may come from other weights
        _vot("evaluate", "--force")
        seconds = time.monotonic() - start
        _check_complete(_WORKSPACE)
        console.rule("vot analysis")
        analysis = _analyse(_WORKSPACE / "analysis" / f"{_NAME}.json")
    except InputError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    overlays = _draw_overlays(_WORKSPACE)
    console.print(_table(analysis))
    console.print(f"evaluated in {seconds:.0f} s; masks drawn on frames: {overlays}")
    return 0


def _generate(workspace: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for seed, (objects, frames) in zip(DEMO_SEEDS, _OBJECTS_AND_FRAMES, strict=True):
            name = f"{objects:02d}_objects"
            write_sequence(Path(folder) / name, *generate(seed, frames, objects=objects))
        add_sequences(workspace, find_sequences(Path(folder)), copy=True)


def _vot(command: str, *options: str) -> None:
    """Run a command of the toolkit for TRACKERS."""
    # the toolkit caches measures, and does not notice that results have changed
    environment = {**os.environ, "VOT_PERSISTENT_CACHE": "false"}
    arguments = [command, "--workspace", str(_WORKSPACE), *options, *TRACKERS]
    ended = subprocess.run([sys.executable, "-m", "vot", *arguments], env=environment, check=False)
    if ended.returncode:
        raise InputError(
            f"vot {command} ended with status {ended.returncode}; see its output above"
        )


def _check_complete(folder: Path) -> None:
    """Raise InputError with the end of the log if results are missing.

    The toolkit reports success even when a tracker failed.
    """
    missing = [f"{name} on {sequence}" for name, sequence in missing_results(folder, TRACKERS)]
    if not missing:
        return
    logs = sorted((folder / "logs").glob("*.log"), key=lambda path: path.stat().st_mtime)
    for log in logs[-1:]:
        print(f"--- end of {log}\n{log.read_text()[-3000:]}", file=sys.stderr)
    raise InputError(f"results are missing: {', '.join(missing)}; see the log above")


def missing_results(folder: Path, trackers: tuple[str, ...]) -> list[tuple[str, str]]:
    """Tracker and sequence of each missing result of a workspace."""
    workspace = open_workspace(folder)
    tasks = find_tasks(workspace, find_trackers(workspace, trackers))
    return [
        (task.tracker.identifier, task.sequence.name)
        for task in tasks
        if isinstance(task.sequence, Broken)
        or not task.experiment.scan(task.tracker, task.sequence)[0]
    ]


def _analyse(report: Path) -> Analysis:
    report.unlink(missing_ok=True)
    _vot("analysis", "--format", "json", "--name", report.stem)
    if not report.exists():
        raise InputError(f"vot analysis did not write {report}; see its output above")
    analysis = read_analysis(json.loads(report.read_text()))
    lacking = sorted(set(TRACKERS) - set(analysis.overall))
    if lacking:
        raise InputError(f"{report} lacks {', '.join(lacking)}")
    return analysis


def read_analysis(report: dict[str, Any]) -> Analysis:
    """The measures in a JSON report of a workspace made by ``hqtrack workspace``.

    The report has the measures of sequences as one list, all sequences of the first tracker first.
    """
    experiment = report["results"]["baseline"]
    names = [analysis["name"] for analysis in experiment["parameters"]["analyses"]]
    values = dict(zip(names, experiment["results"], strict=True))
    overall = {
        tracker: Measures(quality, accuracy, robustness)
        for tracker, (quality,), (accuracy, robustness, _) in zip(
            report["trackers"], values["Quality"], values["AR"], strict=True
        )
    }
    flat = iter(
        zip(
            values["Quality by sequence"],
            values["Accuracy by sequence"],
            values["Auxiliary by sequence"],
            strict=True,
        )
    )
    by_sequence: dict[str, dict[str, Measures]] = {}
    for tracker in report["trackers"]:
        for sequence in report["sequences"]:
            (quality,), (accuracy,), (unreported, drifted, _) = next(flat)
            measures = Measures(quality, accuracy, 1.0 - unreported - drifted)
            by_sequence.setdefault(sequence, {})[tracker] = measures
    return Analysis(overall, by_sequence)


def _table(analysis: Analysis) -> Table:
    table = Table("sequence", "tracker", title="VOTS measures")
    for measure in ("Quality", "accuracy", "robustness"):
        table.add_column(measure, justify="right")
    for name, measures in [*analysis.by_sequence.items(), ("all", analysis.overall)]:
        for tracker in TRACKERS:
            values = (f"{value:.3f}" for value in measures[tracker])
            table.add_row(name if tracker == TRACKERS[0] else "", tracker, *values)
        table.add_section()
    return table


def _draw_overlays(folder: Path) -> Path:
    """Draw the masks of the first tracker on some frames of each sequence, side by side.

    Returns the folder of the pictures.
    """
    workspace = open_workspace(folder)
    (tracker,) = find_trackers(workspace, TRACKERS[:1])
    (experiment,) = workspace.stack
    target = folder / "analysis" / "overlays"
    target.mkdir(exist_ok=True)
    for sequence in workspace.sequences:
        trajectories = experiment.gather(tracker, sequence)
        indices = np.linspace(1, len(sequence) - 1, _OVERLAY_FRAMES).astype(int).tolist()
        drawn = [
            _overlay(sequence.frame(index).channel(), trajectories, index) for index in indices
        ]
        write_image(target / f"{sequence.name}.jpg", np.hstack(drawn))
    return target


def _overlay(image: Image, trajectories: list[Any], index: int) -> Image:
    height, width = image.shape[:2]
    regions = [from_toolkit(trajectory.region(index)) for trajectory in trajectories]
    return draw_masks(image, to_masks(regions, height, width))


if __name__ == "__main__":
    sys.exit(main())
