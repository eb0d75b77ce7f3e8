"""The number of threads of a process, also if several processes share a machine."""

import contextlib
import os
from pathlib import Path

_SYSTEM = Path("/sys")


def usable_cores() -> int:
    """The physical cores that this process may use, at least 1.

    These are fewer than the machine has if the process is bound to some cores or its container gets
    a share of their time. Two threads of one core count once, because they share its arithmetic.
    """
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cores = {_siblings(number) for number in os.sched_getaffinity(0)}
    return max(1, min(len(cores), int(_share() or len(cores))))


def threads_for(processes: int) -> int:
    """Threads for each of so many concurrent processes.

    If the environment variable OMP_NUM_THREADS is a positive number, it decides instead.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return (
        int(wanted) if wanted.isdecimal() and int(wanted) else max(1, usable_cores() // processes)
    )


def limit_threads() -> None:
    """Set the threads of this process as if it were alone on the machine."""
    import cv2
    import torch

    cv2.setNumThreads(threads_for(1))
    torch.set_num_threads(threads_for(1))
    # torch refuses this after operators have run concurrently; ours never do
    with contextlib.suppress(RuntimeError):
        torch.set_num_interop_threads(1)


def _siblings(number: int) -> str:
    """The logical processors that share a core with this one; its number if that is unknown."""
    try:
        return _read(f"devices/system/cpu/cpu{number}/topology/thread_siblings_list")
    except OSError:
        return str(number)


def _share() -> float | None:
    """The number of processors whose time the control group may use; None without a limit."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = _read("fs/cgroup/cpu.max").split()
        return int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError):
        limit = int(_read("fs/cgroup/cpu/cpu.cfs_quota_us"))
        return limit / int(_read("fs/cgroup/cpu/cpu.cfs_period_us")) if limit > 0 else None
    return None


def _read(path: str) -> str:
    return (_SYSTEM / path).read_text().strip()
