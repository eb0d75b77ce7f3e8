"""Signals at random moments of ``hqtrack run``, with the light tracker."""

import collections
import json
import os
import random
import signal
import time
from pathlib import Path

import av
import numpy as np

# what loads on first use loads here, and not again in every child
import hqtrack.build
import hqtrack.commands.run  # noqa: F401
from hqtrack.cli import main
from hqtrack.synthetic import generate
from hqtrack.video import write_labels
from tests.helpers.video_files import write_video

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
SIZE = (48, 64)


class Wrong(Exception):
    """What is stored is not what has to be stored."""


def interrupt_runs(folder: Path, signals: int, frames: int, chance: random.Random) -> None:
    """Send so many signals in all; raises Wrong."""
    arguments = _make_video(folder, frames)
    began = time.monotonic()
    whole = folder / "whole"
    if (status := _run([*arguments, "--output", str(whole)], None, 0)) != 0:
        raise Wrong(f"the undisturbed run ended with {status}")
    length = time.monotonic() - began
    expected = _content(whole)
    print(f"an undisturbed run takes {length:.1f} s", flush=True)
    counts: collections.Counter[str] = collections.Counter()
    completed, output = 0, folder / "run0"
    while counts.total() < signals:
        number = SIGNALS[counts.total() % len(SIGNALS)]
        moment = chance.uniform(0, 1.1 * length)
        before = _stamps(output)
        status = _run([*arguments, "--output", str(output)], number, moment)
        if status == 0:
            _compare(_content(output), expected)
            completed += 1
            output = folder / f"run{completed}"
            continue
        wanted = -number if number == signal.SIGKILL else 128 + number
        if status not in (wanted, -number):
            raise Wrong(f"{number.name} after {moment:.2f} s: status {status}, not {wanted}")
        counts[number.name] += 1
        if status > 0 and _stamps(output) != before:
            # a run that ends before it begins leaves what an earlier SIGKILL left
            _check_stopped(output, f"{number.name} after {moment:.2f} s")
    if (status := _run([*arguments, "--output", str(output)], None, 0)) != 0:
        raise Wrong(f"the last run ended with {status}")
    _compare(_content(output), expected)
    print(f"{dict(counts)}; {completed + 1} completed runs are equal to the undisturbed one")


def _make_video(folder: Path, frames: int) -> list[str]:
    """A video of two objects, of which one starts later; returns the command."""
    images, labels = generate(3, frames, SIZE, 2)
    write_video(folder / "clip.mp4", list(images))
    late = frames // 3
    write_labels(folder / "first.png", np.where(labels[0] == 1, 1, 0))
    write_labels(folder / "late.png", np.where(labels[late] == 2, 2, 0))
    later = f"2@{late + 1}={folder / 'late.png'}"
    command = ["run", str(folder / "clip.mp4"), "--mask", str(folder / "first.png")]
    return [*command, "--object", later, "--overlay", "--record", "--preset", "light"]


def _run(arguments: list[str], number: int | None, moment: float) -> int:
    """The exit status of the command in a child that gets the signal; negative if it died of it."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            status = main(arguments)
        finally:
            os._exit(status)
    if number is not None:
        end = time.monotonic() + moment
        while time.monotonic() < end:
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                break
            time.sleep(0.005)
        os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _stamps(output: Path) -> dict[Path, int]:
    """When each file was written."""
    return {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}


def _lines(journal: Path) -> list[list[object]]:
    """The lines of the journal, without the seconds of tracking."""
    if not journal.exists():
        return []
    lines = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    return [[*fields[:3], *fields[4:]] for fields in lines]


def _frames_in(overlay: Path) -> int:
    """How many frames can be decoded; their pixels depend on the threads of the encoder."""
    with av.open(overlay) as container:
        return sum(1 for _ in container.decode())


def _content(output: Path) -> dict[str, object]:
    """All files of a run, by name; what is a time, or depends on one, is left out."""
    content: dict[str, object] = {
        str(path.relative_to(output)): path.read_bytes()
        for path in sorted(output.rglob("*"))
        if path.is_file()
    }
    content["frames.jsonl"] = _lines(output / "frames.jsonl")
    content["overlay.mp4"] = _frames_in(output / "overlay.mp4")
    content["summary.json"] = {**json.loads((output / "summary.json").read_text()), "fps": None}
    return content


def _compare(found: dict[str, object], expected: dict[str, object]) -> None:
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            raise Wrong(f"{name} differs from that of the undisturbed run")


def _check_stopped(output: Path, moment: str) -> None:
    """After a signal that asks: what there is is readable, and of the same frames."""
    lines = _lines(output / "frames.jsonl")
    if not lines:
        return
    summary = json.loads((output / "summary.json").read_text())
    images = json.loads((output / "masks.json").read_text())["images"]
    masks = [path for path in (output / "masks").iterdir() if not path.name.startswith(".")]
    counts = {len(lines), summary["frames"], len(images), len(masks)}
    if len(counts) != 1:
        raise Wrong(f"{moment}: journal, summary, data set and label maps have {counts} frames")
    overlay = output / "overlay.mp4"
    if overlay.exists() and _frames_in(overlay) > len(lines):
        raise Wrong(f"{moment}: the overlay has frames that are not finished")
    left = [path.name for path in output.rglob(".*")]
    if left:
        raise Wrong(f"{moment}: {left} are left")
