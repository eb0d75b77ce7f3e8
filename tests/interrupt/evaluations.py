"""SIGKILL at random moments of ``vot evaluate``, with the baseline."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.helpers.workspaces import registry, small_workspace, stored
from tests.interrupt.runs import Wrong


def kill_evaluations(folder: Path, kills: int, chance: random.Random) -> None:
    """Kill so many in all; raises Wrong."""
    original = small_workspace(folder, (12, 8, 10))
    registry(original, FirstMask={"env_HQTRACK_RESIDENT": "0"})
    began = time.monotonic()
    whole = _copy(original, folder / "whole")
    if (status := _evaluate(whole, None)) != 0:
        raise Wrong(f"the undisturbed evaluation ended with {status}")
    length = time.monotonic() - began
    expected = stored(whole)
    print(f"an undisturbed evaluation takes {length:.1f} s", flush=True)
    done = completed = 0
    workspace = _copy(original, folder / "evaluation0")
    while True:
        # half of the time is for loading the toolkit
        moment = chance.uniform(0.3 * length, length) if done < kills else None
        status = _evaluate(workspace, moment)
        if status == -signal.SIGKILL:
            done += 1
            continue
        found = stored(workspace)
        if status != 0 or found.keys() != expected.keys():
            raise Wrong(f"status {status}, files {sorted(found.keys() ^ expected.keys())}")
        for name, content in expected.items():
            if found[name] != content:
                raise Wrong(f"{name} differs from that of the undisturbed evaluation")
        completed += 1
        if done >= kills:
            break
        workspace = _copy(original, folder / f"evaluation{completed}")
    print(f"{done} SIGKILLs; {completed} completed evaluations are equal to the undisturbed one")


def _copy(original: Path, folder: Path) -> Path:
    return Path(shutil.copytree(original, folder, symlinks=True))


def _evaluate(workspace: Path, moment: float | None) -> int:
    """The exit status of ``vot evaluate``, with its trackers killed after so many seconds."""
    command = [sys.executable, "-m", "vot", "evaluate", "--workspace", str(workspace), "FirstMask"]
    # a session of its own, so that what it has started can be killed with it
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, start_new_session=True, **quiet)  # type: ignore[call-overload]
    try:
        return process.wait(moment)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
