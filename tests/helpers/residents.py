"""Tracker processes that stay, found by the folder in which they keep their sockets."""

import os
import time
from pathlib import Path

RESIDENT, IN_PLACE = "600", "0"
"""Values of HQTRACK_RESIDENT: stay for 600 idle seconds, or do not stay at all."""


def processes(runtime: str | Path, module: str = "hqtrack.") -> list[int]:
    """The tracker processes that keep their sockets there."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if f"XDG_RUNTIME_DIR={runtime}\0".encode() in environment and module.encode() in command:
            found.append(int(folder.name))
    return found


def all_gone(runtime: Path, seconds: float = 120) -> bool:
    """Whether they all end, of themselves, long before they would be idle for long enough."""
    deadline = time.monotonic() + seconds
    while processes(runtime):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def cpu_seconds(process: int) -> float:
    """How long a process has computed until now; waiting, and other processes, do not count."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
