"""The command ``hqtrack debug``: plays the toolkit's part for one sequence."""

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TextIO

import numpy as np

from hqtrack.environment import Variable
from hqtrack.evaluation.client import (
    Answer,
    Client,
    Disagreement,
    Launch,
    attached,
    find_launch,
    started,
)
from hqtrack.evaluation.make_workspace import find_registry
from hqtrack.evaluation.starts import Start, read_starts
from hqtrack.presets import LIGHT, PRESETS
from hqtrack.records.record import Heading, Observed, Recorder
from hqtrack.stages import Stage
from hqtrack.video import read_image
from hqtrack.video.images import write_image
from hqtrack.video.overlay import draw_masks
from hqtrack.vot.trace import TracedFrame, TraceReader

_TRACE_SECONDS = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack debug``."""
    parser.add_argument(
        "sequence",
        type=Path,
        metavar="SEQUENCE",
        help="sequence folder of a VOT workspace, or a folder with color/ and masks/",
    )
    parser.add_argument("--preset", choices=PRESETS, default=LIGHT.name, help="(default: light)")
    parser.add_argument(
        "--objects", metavar="NAMES", help="only these objects, for example 1,3 (default: all)"
    )
    parser.add_argument(
        "--from", type=int, default=1, dest="first", metavar="N", help="first frame, from 1"
    )
    parser.add_argument("--to", type=int, dest="last", metavar="M", help="last frame")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write frames with masks and the log to DIR"
    )
    parser.add_argument(
        "--record", type=Path, metavar="DIR", help="save a record for `hqtrack inspect DIR`"
    )
    parser.add_argument(
        "--listen",
        type=int,
        metavar="PORT",
        help="do not start the process, but wait for one that you start, for example in a debugger",
    )


def run(args: argparse.Namespace) -> int:
    """Send the sequence to the process; 1 at the first reply that violates the protocol."""
    starts = read_starts(args.sequence, args.objects, args.first, args.last)
    folder = args.out or Path(tempfile.mkdtemp(prefix="hqtrack-debug-"))
    folder.mkdir(parents=True, exist_ok=True)
    trace = folder / "trace.jsonl"
    trace.unlink(missing_ok=True)
    names = [name for start in starts for name in start.names]
    with ExitStack() as stack:
        log = stack.enter_context((folder / "tracker.log").open("w"))
        recorder = None
        if args.record is not None:
            title = args.sequence.absolute().name
            heading = Heading(title, PRESETS[args.preset].tracker, dict(enumerate(names, start=1)))
            recorder = stack.enter_context(Recorder(args.record, heading))
        try:
            with _session(args.preset, args.listen, trace, log) as client:
                print(f"hello    {client.hello}")
                _drive(client, starts, TraceReader(trace), args.out, recorder)
        except Disagreement as disagreement:
            print(f"hqtrack debug: {disagreement}; the tracker's log is {log.name}", flush=True)
            return 1
    print(f"the tracker follows the protocol; its log is {log.name}")
    return 0


def _session(
    preset: str, port: int | None, trace: Path, log: TextIO
) -> AbstractContextManager[Client]:
    launch = find_launch(find_registry(), PRESETS[preset].tracker)
    watched: dict[str, str] = {Variable.TRACE: str(trace.absolute())}
    if port is None:
        return started(
            Launch(launch.command, {**launch.environment, **watched}), lambda text: _log(log, text)
        )
    settings = " ".join(f"{name}={value}" for name, value in watched.items())
    hint = (
        f"start the tracker, for example:\n  TRAX_SOCKET={port} {settings} "
        f"python -m pdb -m hqtrack.vot --preset {preset}"
    )
    return attached(port, lambda text: _log(log, text), lambda: print(hint, flush=True))


def _log(file: TextIO, text: str) -> None:
    file.write(text)
    file.flush()


def _drive(
    client: Client,
    starts: Sequence[Start],
    reader: TraceReader,
    out: Path | None,
    recorder: Recorder | None,
) -> None:
    """Send all frames and print the replies; draw into ``out`` and record if these are given."""
    names: list[str] = []
    patience = _TRACE_SECONDS
    for start in starts:
        names += start.names
        answer = client.ask(start.image, start.masks)
        traced = reader.read(patience)
        if traced is None:
            # the process writes no trace
            patience = 0
        _print(start.number, names, answer, traced)
        if recorder is not None:
            recorder.write(_observed(start, answer, traced))
        if out is not None:
            drawn = draw_masks(read_image(start.image), answer.masks)
            write_image(out / f"{start.number:08d}.jpg", drawn)


def _observed(start: Start, answer: Answer, traced: TracedFrame | None) -> Observed:
    """What the recorder keeps of a frame."""
    image = read_image(start.image)
    step = None if traced is None else traced.step(image.shape[:2])
    objects = tuple(range(1, len(answer.masks) + 1))
    confidence = np.array(answer.confidence, np.float32)
    return Observed(start.number, start.image.name, image, objects, answer.masks, confidence, step)


def _print(number: int, names: Sequence[str], answer: Answer, traced: TracedFrame | None) -> None:
    stages = f"(no times: {Variable.TRACE} was not set)"
    if traced is not None:
        spent = [f"{stage} {1000 * traced.seconds[stage]:.1f}" for stage in Stage]
        stages = " ".join([*spent, f"on the way {1000 * _rest(answer, traced):.1f}"])
    print(f"frame {number}: {1000 * answer.seconds:.1f} ms: {stages}")
    for index, name in enumerate(names):
        area = int(np.count_nonzero(answer.masks[index]))
        chosen = "" if traced is None else _chosen_mask(index, traced)
        print(f"  {name}: {area} px, confidence {answer.confidence[index]:.2f}{chosen}")


def _rest(answer: Answer, traced: TracedFrame) -> float:
    return max(0.0, answer.seconds - sum(traced.seconds.values()))


def _chosen_mask(index: int, traced: TracedFrame) -> str:
    if index not in traced.tracked:
        return ", as given"
    if traced.refined is None or traced.iou is None:
        return ", tracked"
    position = traced.tracked.index(index)
    name = "refined" if traced.refined[position] else "coarse"
    return f", {name} (IoU {traced.iou[position]:.2f})"
