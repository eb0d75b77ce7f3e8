"""Checks of this machine for ``hqtrack doctor``: libraries, encodings, memory, workspaces."""

import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from hqtrack.commands.doctor_checks import CheckResult, Verdict, python
from hqtrack.errors import InputError

_LITTLE, _TOO_LITTLE = 2e9, 0.7e9
"""Less free memory than these is a warning, and broken, in bytes. The light tracker takes 1.0e9 for
five objects on frames of 1920x1080."""

_UNLIMITED = 2**60


def check_opencv() -> Iterator[CheckResult]:
    """OpenCV, which needs libraries that containers and servers may lack."""
    done = python("-c", "import cv2; print(cv2.__version__)")
    if done.returncode == 0:
        yield CheckResult("OpenCV", Verdict.OK, done.stdout.strip())
        return
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    reason = lines[-1] if lines else f"it ended with status {done.returncode}"
    remedy = "pip install --force-reinstall 'opencv-python>=5,<6'"
    if ".so" in reason and "cannot open" in reason:
        remedy = (
            "install the library, on Debian and Ubuntu: apt-get install libgl1 libglib2.0-0; or "
            "use the build without windows: pip uninstall opencv-python && pip install "
            "'opencv-python-headless>=5,<6'"
        )
    yield CheckResult("OpenCV", Verdict.BROKEN, f"it cannot be imported: {reason}", remedy)


def check_encodings() -> Iterator[CheckResult]:
    """The encodings of printed text and of file names."""
    for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        yield _examine_stream(name, stream)
    encoding = sys.getfilesystemencoding()
    if _is_unicode(encoding):
        yield CheckResult("file names", Verdict.OK, f"encoding {encoding}")
    else:
        yield CheckResult(
            "file names",
            Verdict.WARNING,
            f"encoding {encoding}: files with other characters in their names cannot be opened",
            "set LC_ALL=C.UTF-8 or PYTHONUTF8=1",
        )
    for name, folder in (("working folder", Path.cwd()), ("TMPDIR", Path(tempfile.gettempdir()))):
        if not str(folder).isascii():
            yield CheckResult(
                "file names",
                Verdict.WARNING,
                f"{name} {str(folder)!a}: TraX supports only ASCII paths",
                "keep workspaces below folders with ASCII names",
            )


def _examine_stream(name: str, stream: TextIO | None) -> CheckResult:
    if stream is None:
        remedy = "do not close it (2>&-); redirect it to /dev/null to hide it"
        return CheckResult(name, Verdict.WARNING, "closed", remedy)
    if _is_unicode(stream.encoding):
        return CheckResult(name, Verdict.OK, f"encoding {stream.encoding}")
    return CheckResult(
        name,
        Verdict.WARNING,
        f"encoding {stream.encoding}: other characters cannot be printed",
        "set PYTHONIOENCODING=utf-8, or PYTHONUTF8=1",
    )


def _is_unicode(encoding: str | None) -> bool:
    return (encoding or "").lower().replace("_", "-") in ("utf-8", "utf8")


def check_memory(root: Path = Path("/")) -> Iterator[CheckResult]:
    """The free memory and its limit; ``root`` contains ``proc`` and ``sys``."""
    free = _free_memory(root)
    if not free:
        yield CheckResult("memory", Verdict.OK, "this system does not report the free memory")
        return
    what = min(free, key=lambda name: free[name])
    found = f"{free[what] / 1e9:.1f} GB free ({what})"
    if free[what] >= _LITTLE:
        yield CheckResult("memory", Verdict.OK, found)
        return
    verdict = Verdict.BROKEN if free[what] < _TOO_LITTLE else Verdict.WARNING
    yield CheckResult(
        "memory",
        verdict,
        f"{found}; the light tracker takes about 1 GB, the published one several",
        "end other programs, or raise the limit (docker run --memory, ulimit -v, sbatch --mem)",
    )


def _free_memory(root: Path) -> dict[str, float]:
    """The free memory in bytes for each limit that the system reports."""
    free: dict[str, float] = {}
    meminfo = _read(root / "proc/meminfo").splitlines()
    for line in meminfo:
        if line.startswith("MemAvailable:"):
            free["of the machine"] = 1024 * float(line.split()[1])
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        bound, taken = (_read(root / "sys/fs/cgroup" / name).strip() for name in (limit, used))
        if bound.isdecimal() and taken.isdecimal() and int(bound) < _UNLIMITED:
            free["of the container"] = float(int(bound) - int(taken))
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed != resource.RLIM_INFINITY:
        free["of ulimit -v"] = float(allowed)
    return free


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def check_workspace(folder: Path | None) -> Iterator[CheckResult]:
    """The sequences of a workspace, by default of the current folder if it is one."""
    if folder is None:
        if not Path("config.yaml").is_file() or not Path("sequences/list.txt").is_file():
            return
        folder = Path()
    # imports OpenCV, which may be broken
    from hqtrack.evaluation.sequence_files import listed_sequences, sequences_folder

    label = f"workspace {os.fspath(folder)}"
    try:
        listed = listed_sequences(sequences_folder(folder))
    except InputError as error:
        yield CheckResult(label, Verdict.BROKEN, str(error), "or give another --workspace")
        return
    for one in listed:
        if one.trouble:
            trouble, _, remedy = one.trouble.partition(": ")
            yield CheckResult(label, Verdict.BROKEN, f"{one.name}: {trouble}", remedy)
    intact = sum(not one.trouble for one in listed)
    yield CheckResult(label, Verdict.OK, f"{intact} of {len(listed)} sequences are intact")
