"""Small workspaces of the VOT toolkit, and the toolkit at work in them, in this process."""

import shutil
from pathlib import Path

from vot.experiment import run_experiment
from vot.workspace import Workspace

from hqtrack.evaluation.make_workspace import make_workspace
from hqtrack.synthetic import Scene, generate
from hqtrack.video import find_sequences, write_sequence

ROOT = Path(__file__).resolve().parents[2]
STILL = Scene(speed=0.01, leaving=0.0, bystanders=0)


def small_workspace(
    folder: Path, frames: tuple[int, ...], objects: int = 2, size: tuple[int, int] = (60, 80)
) -> Path:
    """A workspace with a sequence s0, s1, ... of so many frames each, of ``size``.

    The last object of a sequence appears on its third frame.
    """
    for index, count in enumerate(frames):
        images, masks = generate(20 + index, count, size, objects, STILL)
        if objects > 1:
            masks[:2][masks[:2] == objects] = 0
        write_sequence(folder / "in" / f"s{index}", images, masks)
    make_workspace(folder / "workspace", find_sequences(folder / "in"))
    return folder / "workspace"


def late_sequence(folder: Path, size: tuple[int, int]) -> Path:
    """A sequence of four frames, called late; its object 3 appears on the third."""
    images, masks = generate(11, 4, size, 3, STILL)
    masks[:2][masks[:2] == 3] = 0
    write_sequence(folder / "late", images, masks)
    return folder / "late"


def copied(workspace: Path, folder: Path) -> Path:
    """A copy of the workspace, in this folder; it shares the images."""
    return Path(shutil.copytree(workspace, folder / "workspace", symlinks=True))


def registry(workspace: Path, **sections: dict[str, str]) -> None:
    """Give the workspace these trackers; they run from the sources."""
    text = ""
    for name, keys in sections.items():
        settings = {
            "protocol": "traxpython",
            "command": "hqtrack.vot",
            "paths": f"{ROOT / 'tracker'}:{ROOT / 'models'}",
            "env_HQTRACK_PRESET": "first-mask",
            "timeout": "600",
            **keys,
        }
        text += f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())
    (workspace / "trackers.ini").write_text(text)
    (workspace / "config.yaml").write_text("registry: [trackers.ini]\nstack: stack.yaml\n")


def evaluate(folder: Path, name: str = "FirstMask") -> None:
    """What ``vot evaluate`` does; raises TrackerException where a tracker fails."""
    workspace = Workspace.load(str(folder))
    (tracker,) = workspace.registry.resolve(name, skip_unknown=False)
    for experiment in workspace.stack:
        run_experiment(experiment, tracker, workspace.dataset)


def evaluated(workspace: Path, folder: Path) -> dict[str, bytes]:
    """What is stored where nothing goes wrong, of a copy in this folder."""
    copy = copied(workspace, folder)
    evaluate(copy)
    return stored(copy)


def stored(folder: Path, name: str = "FirstMask") -> dict[str, bytes]:
    """The files of the results, but for times."""
    results = folder / "results" / name
    return {
        str(path.relative_to(results)): path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.is_file() and not path.name.endswith("_time.value")
    }


def faulty(workspace: Path, fault: str, after: int | None = 0, **keys: str) -> Path:
    """Make the workspace's FirstMask misbehave; see ``tests/helpers/faults/sitecustomize.py``.

    ``after`` that many videos, or never with None. Returns the file that is gone once it did.
    """
    mark = workspace / "mark"
    if after is not None:
        mark.write_text(str(after))
    settings = {
        "paths": f"{ROOT / 'tests' / 'helpers' / 'faults'}:{ROOT / 'tracker'}:{ROOT / 'models'}",
        "env_HQTRACK_FAULT": fault,
        "env_HQTRACK_FAULT_MARK": str(mark),
        **keys,
    }
    registry(workspace, FirstMask=settings)
    return mark
