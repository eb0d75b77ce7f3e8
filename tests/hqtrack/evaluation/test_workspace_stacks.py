"""The workspaces of the challenges, as the toolkit sees them."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from vot.stack import list_integrated_stacks

from hqtrack.errors import InputError
from hqtrack.evaluation.workspace import Broken, Task, find_tasks, find_trackers, open_workspace
from tests.helpers.workspaces import ROOT, small_workspace

STACKS = {
    ".": "vots2023",
    "vots2024": "vots2024/main",
    "votst2024": "vots2024/votst",
    "vots2025": "vots2025/main",
    "votst2025": "vots2025/votst",
    "vots2025rt": "vots2025/realtime",
    "vots2026": "vots2026/main",
}


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_workspace(tmp_path_factory.mktemp("stacks"), (3, 4)) / "sequences"


def opened(
    stack: str, config: dict[str, object], sequences: Path, tmp_path: Path
) -> Sequence[Task]:
    """What there is to run in a workspace with this configuration and these sequences."""
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "trackers.ini", tmp_path)
    shutil.copytree(sequences, folder / str(config["sequences"]), symlinks=True)
    (folder / "config.yaml").write_text(yaml.dump({**config, "stack": stack}))
    workspace = open_workspace(folder)
    return find_tasks(workspace, find_trackers(workspace, ["FirstMask"]))


@pytest.mark.parametrize(("folder", "stack"), STACKS.items())
def test_a_challenge_is_a_stack_of_the_toolkit(
    folder: str, stack: str, sequences: Path, tmp_path: Path
) -> None:
    path = ROOT / "vot_workspace" / folder / "config.yaml"
    config = yaml.safe_load(path.read_text())
    assert config["stack"] == stack
    assert stack in list_integrated_stacks()
    (registry,) = config["registry"]
    assert (path.parent / registry).resolve() == ROOT / "trackers.ini"
    config["registry"] = ["../../trackers.ini"]
    found = opened(stack, config, sequences, tmp_path)
    tasks = [f"{task.experiment.identifier} {task.sequence.name}" for task in found]
    expected = ["baseline s0", "baseline s1"]
    assert tasks == expected + (["realtime s0", "realtime s1"] if "realtime" in stack else [])


def test_the_documentation_lists_them() -> None:
    text = (ROOT / "docs" / "stacks.md").read_text()
    for folder, stack in STACKS.items():
        name = "vot_workspace" if folder == "." else f"vot_workspace/{folder}"
        assert f"| `{name}` | `{stack}` |" in text


def test_the_referral_stack_is_refused(sequences: Path, tmp_path: Path) -> None:
    config = {"registry": ["../../trackers.ini"], "sequences": "sequences"}
    with pytest.raises(InputError, match="not one of several objects"):
        opened("vots2026/referral", config, sequences, tmp_path)


def test_points_are_refused(sequences: Path, tmp_path: Path) -> None:
    copy = tmp_path / "points"
    shutil.copytree(sequences, copy, symlinks=True)
    for file in (copy / "s0").glob("groundtruth*.txt"):
        file.write_text("3.0,4.0\n" * 3)
    config = {"registry": ["../../trackers.ini"], "sequences": "sequences"}
    tasks = opened("vots2026/point", config, copy, tmp_path)
    found = {task.sequence.name: task.sequence for task in tasks}
    assert isinstance(found["s0"], Broken)
    assert "objects of type Point" in found["s0"].trouble
    assert not isinstance(found["s1"], Broken)
