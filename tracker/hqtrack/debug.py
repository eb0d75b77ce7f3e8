"""The command ``hqtrack debug``: one sequence through the process that the toolkit would start."""

import argparse
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import cv2
import numpy as np
from vot.dataset import load_sequence  # type: ignore[import-untyped]
from vot.region import is_special  # type: ignore[import-untyped]

from hqtrack.client import Answer, Client, Disagreement, Launch, attached, find_launch, started
from hqtrack.errors import InputError
from hqtrack.overlay import draw_masks
from hqtrack.record import Heading, Observed, Recorder
from hqtrack.regions import Region, to_mask
from hqtrack.results import decode_mask
from hqtrack.selection import Selection
from hqtrack.stages import Stage
from hqtrack.trace import TracedFrame, TraceReader
from hqtrack.tracker import Step
from hqtrack.types import Masks
from hqtrack.video import open_sequence, read_image
from hqtrack.vot import PRESETS
from hqtrack.workspace import REGISTRY, add_sequences

_TRACE_SECONDS = 5.0


class Start(NamedTuple):
    """A frame and the objects that start on it: names, and masks [M,H,W]."""

    image: Path
    names: list[str]
    masks: Masks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack debug``."""
    parser.add_argument(
        "sequence",
        type=Path,
        metavar="SEQUENCE",
        help="folder of a sequence of a VOT workspace, or one with color/ and masks/",
    )
    parser.add_argument("--preset", choices=PRESETS, default="light", help="(default: light)")
    parser.add_argument(
        "--objects", metavar="NAMES", help="only these, for example 1,3 (default: all)"
    )
    parser.add_argument(
        "--from", type=int, default=1, dest="first", metavar="N", help="first frame, from 1"
    )
    parser.add_argument("--to", type=int, dest="last", metavar="M", help="last frame")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write frames with masks, and the log, to DIR"
    )
    parser.add_argument(
        "--record", type=Path, metavar="DIR", help="keep what `hqtrack inspect DIR` shows"
    )
    parser.add_argument(
        "--listen",
        type=int,
        metavar="PORT",
        help="do not start the process; wait for one that you start, under a debugger for example",
    )


def run(args: argparse.Namespace) -> int:
    """Drive the process through the sequence; 1 at the first disagreement with the protocol."""
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
            heading = Heading(title, PRESETS[args.preset], dict(enumerate(names, start=1)))
            recorder = stack.enter_context(Recorder(args.record, heading))
        try:
            with _session(args.preset, args.listen, trace, log) as client:
                print(f"hello    {client.hello}")
                _drive(client, starts, args.first, trace, args.out, recorder)
        except Disagreement as disagreement:
            print(f"hqtrack debug: {disagreement}; the tracker's log is {log.name}", flush=True)
            return 1
    print(f"the tracker keeps to the protocol; its log is {log.name}")
    return 0


def read_starts(folder: Path, objects: str | None, first: int, last: int | None) -> list[Start]:
    """The frames ``first`` to ``last``, from 1, each with the objects that start on it.

    Raises InputError where there is no such sequence, object or frame, or nothing to start with.
    """
    with tempfile.TemporaryDirectory() as workspace:
        if not (folder / "sequence").is_file():
            add_sequences(Path(workspace), [open_sequence(folder)])
            folder = Path(workspace) / "sequences" / folder.absolute().name
        sequence = load_sequence(str(folder.absolute()))
        count = len(sequence)
        chosen = _chosen(list(sequence.objects()), objects)
        if not 1 <= first <= (last or count) <= count:
            raise InputError(
                f"{folder.name} has frames 1 to {count}: give --from and --to in order"
            )
        known = {name: sequence.object(name) for name in chosen}
        frames = [
            # what lies in the temporary folder are links, soon gone
            _start(Path(sequence.frame(index).filename("color")).resolve(), known, index, first - 1)
            for index in range(first - 1, last or count)
        ]
    if not all(str(frame.image).isascii() for frame in frames):
        raise InputError(f"{frames[0].image}: TraX carries ASCII paths only; rename the folder")
    if not frames[0].names:
        raise InputError(f"none of the objects is annotated on frame {first}: give another --from")
    return frames


def _chosen(names: list[str], objects: str | None) -> list[str]:
    """The names of the objects asked for; a single object is called 1, or by its name."""
    if objects is None:
        return names
    numbers = {str(int(name)) if name.isdecimal() else "1": name for name in names}
    asked = [word.strip().lstrip("0") for word in objects.split(",")]
    unknown = [word for word in asked if word not in numbers]
    if unknown:
        raise InputError(
            f"there is no object {', '.join(unknown)}: choose from {', '.join(sorted(numbers))}"
        )
    return [numbers[word] for word in asked]


def _start(image: Path, known: dict[str, list[Any]], index: int, first: int) -> Start:
    """What starts on a frame: an object whose region was unknown so far, since ``first``."""
    names = [
        name
        for name, regions in known.items()
        if not is_special(regions[index]) and all(map(is_special, regions[first:index]))
    ]
    regions = [known[name][index] for name in names]
    height, width = read_image(image).shape[:2]
    masks = [to_mask(Region(r.mask, *r.offset), height, width) for r in regions]
    return Start(image, names, np.array(masks, np.bool_).reshape(-1, height, width))


def _session(
    preset: str, port: int | None, trace: Path, log: TextIO
) -> AbstractContextManager[Client]:
    launch = find_launch(REGISTRY, PRESETS[preset])
    watched = {"HQTRACK_TRACE": str(trace.absolute())}
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
    first: int,
    trace: Path,
    out: Path | None,
    recorder: Recorder | None,
) -> None:
    """Send all frames; print what came back, and draw and record it where asked to."""
    names: list[str] = []
    reader = TraceReader(trace)
    patience = _TRACE_SECONDS
    for number, start in enumerate(starts, start=first):
        names += start.names
        answer = client.ask(start.image, start.masks)
        traced = reader.read(patience)
        if traced is None:
            # nobody writes one
            patience = 0
        _print(number, names, answer, traced)
        if recorder is not None:
            recorder.write(_observed(number, start.image, answer, traced))
        if out is not None:
            drawn = draw_masks(read_image(start.image), answer.masks)
            cv2.imwrite(str(out / f"{number:08d}.jpg"), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))


def _observed(number: int, path: Path, answer: Answer, traced: TracedFrame | None) -> Observed:
    """What the recorder keeps of a frame."""
    image = read_image(path)
    step = None
    if traced is not None and traced.coarse is not None:
        step = _step(traced, traced.coarse, image.shape[:2])
    objects = tuple(range(1, len(answer.masks) + 1))
    confidence = np.array(answer.confidence, np.float32)
    return Observed(number, path.name, image, objects, answer.masks, confidence, step)


def _step(traced: TracedFrame, coarse: list[str], size: tuple[int, ...]) -> Step:
    """The step of the tracker, of all objects up to the last one tracked."""
    from hqtrack.memory import MemoryFrames  # brings torch, which debugging itself can do without

    count = max(traced.tracked) + 1

    def spread(encoded: list[str]) -> Masks:
        masks = np.zeros((count, *size), np.bool_)
        masks[traced.tracked] = [decode_mask(text, size[0], size[1]) for text in encoded]
        return masks

    coarse_masks = spread(coarse)
    selection = proposed = None
    if traced.proposed is not None and traced.refined is not None and traced.iou is not None:
        proposed = spread(traced.proposed)
        refined, iou = np.zeros(count, np.bool_), np.zeros(count, np.float32)
        refined[traced.tracked], iou[traced.tracked] = traced.refined, traced.iou
        chosen = np.where(refined[:, None, None], proposed, coarse_masks)
        selection = Selection(chosen, refined, iou)
    memory = tuple(MemoryFrames(tuple(long), short) for long, short in traced.memory)
    return Step(coarse_masks, proposed, selection, memory)


def _print(number: int, names: Sequence[str], answer: Answer, traced: TracedFrame | None) -> None:
    stages = "(no times: HQTRACK_TRACE was not set)"
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
