"""Measures how time and memory grow with objects, frames, pixels: `python -m benchmarks.growth`.

Every point is saved as soon as it is measured, so an interrupted run resumes; with another --points
file it starts again. The growth is the exponent of the best power-law fit: 0 is flat, 1 is
proportional.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.figure
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.report import run
from hqtrack.bench.measure import describe, watch_frames
from hqtrack.bench.pipeline import Networks, Setup, load_networks
from hqtrack.commands.options import add_setup_arguments, parse_size, setup_of
from hqtrack.compute.threads import limit_threads
from hqtrack.errors import InputError
from hqtrack.files import append_line

WAYS = {"objects": "objects", "frames": "frames of the video", "pixels": "pixels of a frame"}
_WINDOW = 50


@dataclass(frozen=True)
class Point:
    """A measured point.

    Attributes:
        way: the quantity that grows: objects, frames or pixels.
        x: its value.
        label: the value as text.
        ms: median milliseconds of a frame: CPU time on a CPU, else elapsed time.
        mib: peak memory in MiB in addition to the loaded networks, None if unknown.
        setup: the measured setup.
    """

    way: str
    x: int
    label: str
    ms: float
    mib: float | None
    setup: dict[str, Any]


class Points:
    """Points in a file, one per line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        try:
            self.all = [Point(**json.loads(line)) for line in lines]
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{path} does not contain points ({error}): give other --points"
            ) from error

    def have(self, way: str, x: int) -> bool:
        """Whether the point has been measured."""
        return any((point.way, point.x) == (way, x) for point in self.all)

    def of(self, way: str) -> list[Point]:
        """The points of a way, in order."""
        return sorted((point for point in self.all if point.way == way), key=lambda p: p.x)

    def add(self, point: Point) -> None:
        """Save a point."""
        self.all.append(point)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        append_line(self._path, asdict(point))


def growth(x: Sequence[float], y: Sequence[float]) -> float:
    """The b of the best fit y = a * x ** b in logarithms; needs at least two points."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def measure(
    setup: Setup, networks: Networks, args: argparse.Namespace, points: Points
) -> Iterator[Point]:
    """Measure the missing points."""
    # exclude memory that libraries allocate only once
    list(watch_frames(setup, networks, [1], 1, filled=True))
    for count in args.objects:
        if not points.have("objects", count):
            one = replace(setup, objects=count)
            yield _point("objects", count, str(count), one, networks, args.repeats)
    for height, width in args.sizes:
        if not points.have("pixels", height * width):
            one = replace(setup, size=(height, width))
            label = f"{width}x{height}"
            yield _point("pixels", height * width, label, one, networks, args.repeats)
    marks = [count for count in args.frames if not points.have("frames", count)]
    if marks:
        video = replace(setup, size=args.video_size)
        described = describe(video, networks)
        for number, cost in watch_frames(video, networks, marks, _WINDOW, filled=False):
            yield Point("frames", number, str(number), cost.ms.median, cost.mib, described)


def _point(way: str, x: int, label: str, setup: Setup, networks: Networks, repeats: int) -> Point:
    ((_, cost),) = watch_frames(setup, networks, [repeats + 1], repeats, filled=True)
    return Point(way, x, label, cost.ms.median, cost.mib, describe(setup, networks))


def table(points: Points, way: str) -> Table:
    """All points of a way, and how time and memory grow with it."""
    found = points.of(way)
    made = Table(WAYS[way], "ms", "peak memory, MiB", title=_words(found[0].setup, way))
    for point in found:
        mib = "" if point.mib is None else f"{point.mib:.0f}"
        made.add_row(point.label, f"{point.ms:.1f}", mib)
    if len(found) > 1:
        made.add_section()
        x = [point.x for point in found]
        memory = [point.mib for point in found if point.mib is not None]
        power = f"{growth(x, memory):.2f}" if len(memory) == len(x) else ""
        made.add_row("growth", f"{growth(x, [point.ms for point in found]):.2f}", power)
    return made


def draw(points: Points, path: Path) -> None:
    """Draw time and memory over each way."""
    ways = [way for way in WAYS if points.of(way)]
    figure = matplotlib.figure.Figure(figsize=(3.4 * len(ways), 3.6), layout="constrained")
    for place, way in enumerate(ways, start=1):
        found = points.of(way)
        axes = figure.add_subplot(1, len(ways), place)
        x = [point.x for point in found]
        axes.loglog(x, [point.ms for point in found], "o-", label="ms per frame")
        if all(point.mib is not None for point in found):
            axes.loglog(x, [point.mib or 0 for point in found], "s--", label="peak memory, MiB")
        axes.set_xticks(x, [point.label for point in found], rotation=45, ha="right", minor=False)
        axes.set_xticks([], minor=True)
        axes.set_xlabel(WAYS[way])
        highest = max(value for point in found for value in (point.ms, point.mib or 0))
        axes.set_ylim(1, 3 * highest)
        axes.grid(alpha=0.3)
        axes.set_title(_words(found[0].setup, way), fontsize="small")
    figure.axes[0].legend(fontsize="small", loc="lower right")
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(path)


def _words(setup: dict[str, Any], way: str) -> str:
    """A description of the setup without the quantity that grows."""
    fixed = [str(setup[name]) for name in ("preset", "variant", "device") if setup[name]]
    if way != "pixels":
        fixed.append(setup["size"])
    if way != "objects":
        fixed.append(f"{setup['objects']} objects")
    return ", ".join(fixed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_setup_arguments(parser, ("preset", "variant", "size", "memory", "device", "dtype", "exact"))
    for flag, kind, default in (
        ("--objects", int, [1, 5, 10, 20, 50]),
        ("--frames", int, [100, 1000, 10000]),
        (
            "--sizes",
            parse_size,
            [(480, 854), (720, 1280), (1080, 1920), (1440, 2560), (2160, 3840)],
        ),
    ):
        parser.add_argument(flag, type=kind, nargs="*", default=default)
    parser.add_argument("--video-size", type=parse_size, default=(90, 160), help="for --frames")
    parser.add_argument("--repeats", type=int, default=3, help="frames per point (default: 3)")
    points_file = Path(__file__).with_suffix(".jsonl")
    parser.add_argument("--points", type=Path, default=points_file, metavar="FILE")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="SVG or PNG")
    args = parser.parse_args()
    points = Points(args.points)
    limit_threads()
    setup = setup_of(args, objects=5)
    networks = load_networks(setup)
    for point in measure(setup, networks, args, points):
        points.add(point)
    console = Console()
    for way in WAYS:
        if points.of(way):
            console.print(table(points, way))
    if args.figure is not None:
        draw(points, args.figure)


if __name__ == "__main__":
    run(main)
