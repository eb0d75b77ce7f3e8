"""Several processes, processes that are killed: what only shows from outside."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.equal import equal
from tests.helpers.sharing import two_steps
from training.engine.processes import World
from training.engine.run_folder import read_checkpoint
from training.vmos import train as vmos

ROOT = Path(__file__).resolve().parents[3]
PATHS = {"PYTHONPATH": ":".join(str(ROOT / part) for part in ("", "tracker", "models"))}
ENVIRONMENT = {**os.environ, **PATHS, "OMP_NUM_THREADS": "1"}
TINY = {
    "objects": 3,
    "encoder": {"stride": 2, "widths": [8, 16, 16], "depths": [1, 1, 1], "groups": [1, 2, 2]},
    "widths": [8, 8, 16],
    "coarse_layers": 2,
    "window_radius": 3,
    "norm_groups": 4,
}
STEPS = 16


@pytest.fixture
def options(tmp_path):
    """Of a short training on generated clips."""
    config = tmp_path / "tiny.json"
    config.write_text(json.dumps(TINY))
    share = "--video 0 --generated 1 --size 49 --frames 3 --batch 2 --threads 1 --warm-up 2"
    often = f"--steps {STEPS} --log-every 1 --save-every 4 --sample-every 7"
    return ["--config", str(config), *share.split(), *often.split()]


@pytest.fixture(autouse=True)
def same_threads():
    """`vmos.main` sets the number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@contextmanager
def started(run, options):
    """The training in a process group of its own, which does not outlive the block."""
    command = [sys.executable, "-m", "training.vmos", "--run", str(run), *options]
    popen = subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.PIPE, start_new_session=True
    )
    with popen as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_for_step(process, run, step):
    """Until the log has this step."""
    log = run / "log.jsonl"
    deadline = time.monotonic() + 600
    while not log.exists() or log.read_text().count("\n") < step:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.slow
def test_two_processes_with_half_the_batch_have_the_gradients_of_one(tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command = [*torchrun, "--standalone", "-m", "tests.helpers.sharing", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True)
    alone = two_steps(World(torch.device("cpu")))
    shared = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert equal(*shared)
    gradients = [name for name in alone if name.startswith("gradient ")]
    assert len(gradients) > 100
    for name in gradients:
        scale = alone[name].abs().max().item()
        torch.testing.assert_close(shared[0][name], alone[name], rtol=1e-4, atol=1e-5 * scale)
    assert sum(alone[name].abs().sum() for name in gradients) > 1


@pytest.mark.slow
def test_a_run_killed_at_a_random_step_and_resumed_ends_with_the_same_weights(tmp_path, options):
    step = int(np.random.default_rng().integers(1, STEPS - 4))
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    with started(killed, [*options, "--workers", "1"]) as process:
        wait_for_step(process, killed, step)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    for run in (killed, whole):
        assert vmos.main(["--run", str(run), *options, "--workers", "0"]) == 0
    states = [read_checkpoint(run / "checkpoint.pt") for run in (killed, whole)]
    for state in states:
        # how data is loaded is not part of what is learnt
        state["settings"].pop("workers")
    assert states[0]["step"] == STEPS
    assert equal(*states), f"killed at step {step}"


@pytest.mark.slow
def test_a_signal_to_the_whole_group_saves(tmp_path, options):
    """As from a shell, a service manager or a batch system: the loading processes get it too."""
    with started(tmp_path / "run", [*options, "--workers", "2", "--steps", "100000"]) as process:
        wait_for_step(process, tmp_path / "run", 2)
        os.killpg(process.pid, signal.SIGTERM)
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    state = read_checkpoint(tmp_path / "run/checkpoint.pt")
    rows = (tmp_path / "run/log.jsonl").read_text().splitlines()
    assert state["step"] == len(rows)
