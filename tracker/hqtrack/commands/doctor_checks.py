"""Checks of this machine for ``hqtrack doctor``: one function per topic."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from PIL import Image as PillowImage

from hqtrack import weights
from hqtrack.environment import Variable
from hqtrack.errors import InputError, one_line
from hqtrack.presets import FIRST_MASK, FULL

_SECONDS = 60.0
"""A process that takes longer counts as hanging."""

_READ_THROUGH = 200e6
"""The checks do not read larger checkpoints, in bytes."""

_LITTLE, _TOO_LITTLE = 5e9, 100e6
"""Less free disk space than these is a warning, and broken, in bytes."""

_SHARED_MEMORY = 64e6


class Verdict(StrEnum):
    """The result of a check; the light tracker works unless something is BROKEN."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True)
class CheckResult:
    """The name of a check, its verdict, what it found, and the remedy unless all is well."""

    check: str
    verdict: Verdict
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        """The lines to print."""
        line = f"{self.verdict:8} {self.check}: {self.found}"
        return f"{line}\n         -> {self.remedy}" if self.remedy else line


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Iterator[CheckResult]:
    """The interpreter."""
    found = f"{'.'.join(map(str, version))} at {sys.executable}"
    if (3, 11) <= version[:2] <= (3, 13):
        yield CheckResult("Python", Verdict.OK, found)
    else:
        yield CheckResult(
            "Python", Verdict.BROKEN, found, "install hqtrack with Python 3.11 to 3.13"
        )


def check_torch() -> Iterator[CheckResult]:
    """PyTorch and the GPU."""
    try:
        import torch

        torch.ones(2, 2) @ torch.ones(2, 2)
    except Exception as error:
        yield CheckResult(
            "PyTorch", Verdict.BROKEN, one_line(error), "install it again: pip install torch"
        )
        return
    threads = torch.get_num_threads()
    yield CheckResult("PyTorch", Verdict.OK, f"{torch.__version__}, {threads} CPU threads")
    driver = _driver()
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        torch.ones(2, 2, device="cuda").sum().item()
        memory = f"{properties.total_memory / 2**30:.0f} GiB"
        yield CheckResult("GPU", Verdict.OK, f"{properties.name}, {memory}, driver {driver}")
    elif driver:
        yield CheckResult(
            "GPU",
            Verdict.WARNING,
            f"driver {driver} is installed, but PyTorch (built for CUDA {torch.version.cuda}) "
            "cannot use it",
            "update the driver, or install the build of PyTorch that fits it (pytorch.org)",
        )
    else:
        yield CheckResult("GPU", Verdict.OK, "none with an NVIDIA driver; hqtrack uses the CPU")


def check_toolkit() -> Iterator[CheckResult]:
    """The VOT toolkit and its dependency attributee."""
    attributee = _version("attributee")
    verdict = Verdict.BROKEN if attributee in (None, "0.1.10") else Verdict.OK
    remedy = "" if verdict is Verdict.OK else "pip install attributee==0.1.9"
    found = attributee or "not installed"
    yield CheckResult("attributee", verdict, f"{found} (0.1.10 breaks the toolkit)", remedy)
    done = python("-c", "import vot")
    toolkit = f"{_version('vot-toolkit') or 'not installed'}"
    if done.returncode == 0:
        yield CheckResult("vot-toolkit", Verdict.OK, toolkit)
    else:
        reason = (done.stderr.strip() or "it ended without a message").splitlines()[-1]
        yield CheckResult(
            "vot-toolkit",
            Verdict.BROKEN,
            f"{toolkit}; it cannot be imported: {reason}",
            "pip install 'vot-toolkit>=0.9,<0.10' attributee==0.1.9",
        )


def check_trax() -> Iterator[CheckResult]:
    """The tracker process hqtrack.vot, with three frames in the toolkit's protocol."""
    with tempfile.TemporaryDirectory(prefix="hqtrack-") as folder:
        image = Path(folder, "frame.png")
        PillowImage.new("L", (20, 12)).save(image)
        mask = '"mask:2,3,6,6,0,36"'
        frame = f'frame "file://{image}"'
        requests = [f"initialize {mask}", frame, frame, frame, "quit"]
        done = python(
            "-m",
            "hqtrack.vot",
            "--preset",
            FIRST_MASK.name,
            text="".join(f"@@TRAX:{request}\n" for request in requests),
            environment={"TRAX": "1"},
        )
    answers = re.findall(r"@@TRAX:state .*", done.stdout)
    if done.returncode == 0 and len(answers) == 3 and all(mask in answer for answer in answers):
        yield CheckResult("TraX", Verdict.OK, "a tracker process started and tracked two frames")
        return
    said = [line for line in done.stderr.splitlines() if line.strip()]
    reason = said[-1] if said else f"{len(answers)} of 3 replies, exit status {done.returncode}"
    yield CheckResult(
        "TraX",
        Verdict.BROKEN,
        f"a tracker process did not reply: {reason}",
        "pip install 'vot-trax>=4,<5'; then try: python -m hqtrack.vot --preset first-mask "
        "</dev/null",
    )


def check_weights() -> Iterator[CheckResult]:
    """The checkpoints; reads the small ones completely."""
    for name, checkpoint in weights.KNOWN.items():
        label = f"weights {name}"
        path = checkpoint.path()
        if not path.is_file():
            if checkpoint.source is None:
                remedy = "they are part of hqtrack: install it again"
                yield CheckResult(label, Verdict.BROKEN, f"{path} is missing", remedy)
            elif name in FULL.checkpoints():
                remedy = f"for the full tracker: hqtrack weights download {name}"
                yield CheckResult(label, Verdict.WARNING, f"not in {path.parent}", remedy)
            else:
                yield CheckResult(
                    label, Verdict.OK, "not there; an optional replacement for hqsam_vit_h"
                )
            continue
        size = path.stat().st_size
        if size > _READ_THROUGH:
            found = f"{path}, {size / 1e9:.1f} GB; `hqtrack weights verify {name}` reads them"
            yield CheckResult(label, Verdict.OK, found)
            continue
        try:
            weights.verify(name)
        except InputError as error:
            remedy = f"delete {path}, then: hqtrack weights download {name}"
            if checkpoint.source is None:
                remedy = "install hqtrack again"
            yield CheckResult(label, Verdict.BROKEN, one_line(error), remedy)
        else:
            yield CheckResult(label, Verdict.OK, f"{path}, intact")


def check_video() -> Iterator[CheckResult]:
    """Reading and writing videos."""
    import av

    missing = {"h264", "hevc", "libx264"} - av.codec.codecs_available
    found = f"PyAV {av.__version__}"
    if missing:
        yield CheckResult(
            "video",
            Verdict.WARNING,
            f"{found} without {', '.join(sorted(missing))}",
            "pip install --force-reinstall av",
        )
    else:
        yield CheckResult("video", Verdict.OK, f"{found} with H.264 and H.265")


def check_disk() -> Iterator[CheckResult]:
    """Free space and write access; only temporary files are indispensable."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    set_to = "set {} to a writable folder with free space"
    yield examine_folder("weights folder", weights.folder(), set_to.format(Variable.WEIGHTS))
    yield examine_folder("cache", cache, set_to.format("XDG_CACHE_HOME"))
    yield examine_folder("working folder", Path.cwd(), "give hqtrack run an --output")
    temporary = Path(tempfile.gettempdir())
    yield examine_folder("temporary files", temporary, set_to.format("TMPDIR"), needed=True)


def examine_folder(name: str, folder: Path, remedy: str, needed: bool = False) -> CheckResult:
    """Check write access and free space of a folder, or of its nearest parent that exists."""
    worst = Verdict.BROKEN if needed else Verdict.WARNING
    parents = (folder.absolute(), *folder.absolute().parents)
    existing = next(path for path in parents if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"hqtrack")
            file.flush()
    except OSError as error:
        return CheckResult(name, worst, f"cannot write to {folder}: {error.strerror}", remedy)
    free = shutil.disk_usage(existing).free
    found = f"{folder}, {free / 1e9:.1f} GB free"
    if free >= _LITTLE:
        return CheckResult(name, Verdict.OK, found)
    verdict = worst if free < _TOO_LITTLE else Verdict.WARNING
    return CheckResult(name, verdict, found, f"free some space, or {remedy}")


def check_shared_memory(folder: Path = Path("/dev/shm")) -> Iterator[CheckResult]:
    """The shared memory through which PyTorch processes exchange tensors."""
    if not folder.is_dir():
        yield CheckResult("shared memory", Verdict.OK, f"no {folder} on this system")
        return
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e6:.0f} MB free in {folder}"
    if free < _SHARED_MEMORY:
        yield CheckResult(
            "shared memory",
            Verdict.WARNING,
            found,
            "enlarge it in a container: docker run --shm-size=1g, or delete old files in it",
        )
    else:
        yield CheckResult("shared memory", Verdict.OK, found)


def _driver() -> str | None:
    """The version of the NVIDIA driver, None if there is none."""
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.split()
    return lines[0] if done.returncode == 0 and lines else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def python(
    *arguments: str, text: str = "", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run this interpreter; if it hangs, the result has status -1 and an error message."""
    command = [sys.executable, *arguments]
    try:
        return subprocess.run(
            command,
            input=text,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env={**os.environ, **(environment or {})},
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, -1, "", f"no end after {_SECONDS:.0f} s")
