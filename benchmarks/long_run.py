"""Measures whether the memory of `hqtrack run` stays flat: `python -m benchmarks.long_run`.

It tracks a long video of small frames with the command itself, in a process of its own, and prints
the resident memory of the process after every so many frames. With `--tracker first-mask` the
baseline takes the place of the light tracker, so that reading and writing are measured alone.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.video.stream import VideoStream
from rich.console import Console
from rich.table import Table

from benchmarks.report import run
from hqtrack.commands.options import parse_size
from hqtrack.errors import InputError
from hqtrack.presets import FIRST_MASK, LIGHT
from hqtrack.video import write_labels

_BASELINE = """
import sys
import hqtrack.build
from hqtrack.baseline import FirstMask
from hqtrack.cli import main
hqtrack.build.build_tracker = lambda *given, **options: FirstMask()
sys.exit(main())
"""
_POLL_SECONDS = 0.005


def write_long_video(path: Path, frames: int, size: tuple[int, int]) -> None:
    """A video of noise that moves by one pixel per frame; holds one frame in memory at a time."""
    texture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    with av.open(path, "w") as container:
        options = {"preset": "ultrafast"}
        stream: VideoStream = container.add_stream("libx264", rate=Fraction(25), options=options)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for index in range(frames):
            picture = np.roll(texture, index, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode(None))


def watch(process: subprocess.Popen[bytes], journal: Path, step: int) -> Iterator[tuple[int, int]]:
    """The number of finished frames after each ``step``, and the memory of the process in KiB."""
    lines, mark = 0, step
    file: BinaryIO | None = None
    while process.poll() is None:
        if file is None and journal.exists():
            file = journal.open("rb")
        lines += file.read().count(b"\n") if file else 0
        if lines > mark and (memory := resident_kib(process.pid)):
            yield lines - 1, memory
            mark += step
        time.sleep(_POLL_SECONDS)
    if file is not None:
        file.close()


def resident_kib(process: int) -> int:
    """The resident memory of a process in KiB; 0 once it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line), 0)


def measure(folder: Path, args: argparse.Namespace) -> list[tuple[int, int]]:
    """Track a long video in this folder; returns frames and KiB."""
    write_long_video(folder / "long.mp4", args.frames, args.size)
    labels = np.zeros(args.size, np.int32)
    height, width = args.size
    labels[height // 4 : height // 2, width // 4 : width // 2] = 1
    labels[height // 2 : -2, width // 2 : -2] = 2
    write_labels(folder / "first.png", labels)
    start = ["-c", _BASELINE] if args.tracker == FIRST_MASK.name else ["-m", "hqtrack"]
    command = [sys.executable, *start, "run", "long.mp4", "--mask", "first.png"]
    command += ["--output", "out", "--preset", LIGHT.name, *(["--overlay"] * args.overlay)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        found = list(watch(process, folder / "out" / "frames.jsonl", args.step))
    summary = json.loads((folder / "out" / "summary.json").read_text(encoding="utf-8"))
    if process.returncode != 0 or not summary["complete"] or summary["frames"] != args.frames:
        raise InputError(f"the run ended with {process.returncode} after {summary['frames']}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10_000, help="(default: 10000)")
    parser.add_argument("--step", type=int, default=1000, help="frames per line (default: 1000)")
    parser.add_argument("--size", type=parse_size, default=(48, 64), metavar="WIDTHxHEIGHT")
    parser.add_argument("--tracker", choices=(LIGHT.name, FIRST_MASK.name), default=LIGHT.name)
    parser.add_argument("--overlay", action="store_true", help="write the overlay, too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="long_run") as folder:
        found = measure(Path(folder), args)
    table = Table("frames", "resident memory, MiB", "of the first")
    for frames, kib in found:
        table.add_row(str(frames), f"{kib / 1024:.1f}", f"{kib / found[0][1]:.4f}")
    Console().print(table)


if __name__ == "__main__":
    run(main)
