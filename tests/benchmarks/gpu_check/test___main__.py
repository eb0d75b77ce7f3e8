import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu_check.steps import STEPS

ROOT = Path(__file__).parents[3]

OTHERS = (
    *("av", "vot", "trax", "ray", "rich", "pycocotools", "gdown", "attributee", "pytest"),
    *("starlette", "uvicorn", "matplotlib"),
)
"""What the steps before the last have to do without."""


def gpu_check(*options: str, without: Path | None = None) -> subprocess.CompletedProcess[str]:
    paths = [path for path in (without, ROOT, ROOT / "tracker", ROOT / "models") if path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, "-m", "benchmarks.gpu_check", *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)


@pytest.mark.slow
def test_all_steps_run_on_a_cpu_at_toy_sizes_without_what_tracks_videos(tmp_path: Path) -> None:
    """The last one says what it lacks; the others need nothing of it."""
    without, out = tmp_path / "without", tmp_path / "out"
    without.mkdir()
    for name in OTHERS:
        (without / f"{name}.py").write_text(f"raise ImportError('{name} is blocked')\n")
    ended = gpu_check("--dry-run", "--out", str(out), without=without)
    results = {step.name: json.loads((out / f"{step.name}.json").read_text()) for step in STEPS}
    told = {name: (result["status"], result["reason"]) for name, result in results.items()}
    last = told.pop("light")
    assert set(told.values()) == {("passed", "")}, ended.stdout
    assert last[0] == "failed"
    assert "blocked" in last[1]
    assert results["light"]["found"]["iou"] > 0.9
    assert "6 passed, 1 failed; no speed is judged" in ended.stdout.splitlines()[-1]
    assert ended.returncode == 1
    assert json.loads((out / "summary.json").read_text())["dry"] is True
    assert results["machine"]["found"]["versions"]["torch"] == torch.__version__.split("+")[0]
    kernels = results["small"]["found"]["agreement"]
    assert {name.split(",")[0] for name in kernels} == {
        *("deformable_sample", "global_attention", "local_attention", "position_attention")
    }
    ways = results["pipeline"]["found"]["ways"]
    assert ways.pop("with graphs") == {"not run": "graphs need a GPU"}
    assert set(ways) == {"fast", "without the second stream", "exact"}
    assert all(way["ms"] > 0 for way in ways.values())
    assert (out / "trace.json.gz").stat().st_size < 16 * 2**20


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dry-run", "--sequence", "nowhere"], "there is no folder nowhere"),
        (["--dry-run", "--out", "setup.py"], "setup.py cannot be a folder"),
        pytest.param(
            [],
            "torch finds no CUDA device here; --dry-run",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is one"),
        ),
    ],
)
def test_what_cannot_be_checked_is_told_in_one_line(options: list[str], said: str) -> None:
    ended = gpu_check(*options)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert said in ended.stderr
