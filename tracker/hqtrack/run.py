"""The command ``hqtrack run``: follow objects through a video."""

import argparse
import contextlib
import dataclasses
import errno
import hashlib
import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from hqtrack.choice import PRESETS, TrackerChoice, choose_prompted, choose_tracker
from hqtrack.coco import coco_parts
from hqtrack.errors import InputError
from hqtrack.first_masks import Prompted
from hqtrack.following import Followed, Follower, check_starts
from hqtrack.footage import Frame
from hqtrack.options import add_tracker_options
from hqtrack.overlay_video import OverlayVideo
from hqtrack.pace import pace_on_stderr
from hqtrack.prefetch import read_ahead
from hqtrack.prompts import MaskFile, Target, describe, parse_targets
from hqtrack.record import Heading, Recorder, observe
from hqtrack.results import Results, RunDescription
from hqtrack.sources import Source, open_source
from hqtrack.summary import summarize
from hqtrack.tracker import Tracker

_SUMMARY, _OVERLAY, _RECORD = "summary.json", "overlay.mp4", "record"


@dataclass(frozen=True)
class _Plan:
    source: Source
    start: int
    every: int
    targets: list[Target]
    choice: TrackerChoice
    prompted: Prompted
    exact: bool

    @property
    def total(self) -> int | None:
        """How many frames are read, as far as the source tells."""
        if self.source.total is None:
            return None
        return len(range(self.start, self.source.total + 1, self.every))

    @property
    def description(self) -> RunDescription:
        """What the journal begins with."""
        makes = any(not isinstance(target.prompt, MaskFile) for target in self.targets)
        return RunDescription(
            video=self.source.address,
            start=self.start,
            every=self.every,
            tracker=f"{self.choice}{', exact' if self.exact else ''}",
            first_masks=self.prompted.name if makes else "given",
            objects=tuple(_identity(target) for target in self.targets),
        )

    @property
    def heading(self) -> Heading:
        """What the record is of."""
        names = {target.number: target.name for target in self.targets}
        return Heading(self.source.name, f"the {self.choice} tracker", names)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack run``."""
    parser.add_argument(
        "video",
        nargs="+",
        metavar="VIDEO",
        help="a video file, a folder or pattern of images, the index of a camera, or an URL",
    )
    objects = parser.add_argument_group("objects", "at least one; frames are counted from 1")
    objects.add_argument(
        "--mask",
        type=Path,
        metavar="PNG",
        help="label map of the first frame: 0 is background, every other number an object",
    )
    for flag, metavar, meaning in (
        ("--box", "X,Y,W,H", "objects on the first frame, by their boxes"),
        ("--point", "X,Y", "objects by a point on each (X,Y,X,Y: two points on one object)"),
        (
            "--object",
            "NAME@FRAME=WHERE",
            "an object that starts on a later frame; WHERE is a mask file, box:X,Y,W,H or "
            "point:X,Y",
        ),
    ):
        objects.add_argument(
            flag, nargs="+", action="extend", default=[], metavar=metavar, help=meaning
        )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="where masks, summary and overlay are written (default: tracked/NAME); the same "
        "command again goes on where it was stopped",
    )
    parser.add_argument(
        "--overlay", action="store_true", help="also write a video with the masks drawn on it"
    )
    parser.add_argument(
        "--record", action="store_true", help="also keep what `hqtrack inspect DIR` shows"
    )
    parser.add_argument(
        "--start", type=int, default=1, metavar="N", help="first frame (default: 1)"
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th frame")
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        help="the small tracker or the released one (default: full where its weights are here)",
    )
    add_tracker_options(parser)


def run(args: argparse.Namespace) -> int:
    """Track, and write each frame as it is done; see ``hqtrack.results`` for the files."""
    plan = _plan(args)
    folder = args.output or Path("tracked", plan.source.name)
    with contextlib.ExitStack() as stack:
        results = stack.enter_context(Results(folder, plan.description))
        if results.last and plan.source.live:
            raise InputError(
                f"{folder} holds a run, and a live video cannot be taken up again: give another "
                "--output"
            )
        recorder = None
        if args.record:
            resumed = Recorder(folder / _RECORD, plan.heading, resume=results.count > 0)
            recorder = stack.enter_context(resumed)
        if not _is_complete(results, recorder, args.overlay):
            _track_and_finish(plan, args, results, recorder)
        Console().print(summarize(plan.targets, results.records()).table())
        print(f"{results.count} frames are in {folder}")
        if recorder is not None:
            print(f"look inside with: hqtrack inspect {folder}")
    return 0


def follow(
    frames: Iterable[Frame],
    follower: Follower,
    results: Results,
    recorder: Recorder | None = None,
) -> Iterator[Followed]:
    """Each frame with its masks, those that are done as they are stored; new ones are kept.

    Frames that lack only in the record are tracked once more.

    The tracker sees all of them, so that what is new is what one uninterrupted run gives: its
    memory of a frame depends on all frames before. Exactly so with the same number of threads.
    """
    for frame in frames:
        stored = frame.number <= results.last
        if stored and (recorder is None or frame.number <= recorder.last):
            followed = follower.repeat(frame)
            numbers = [target.number for target in followed.targets]
            yield followed._replace(masks=results.stored_masks(frame.stem, numbers))
            continue
        start = time.perf_counter()
        followed = follower.follow(frame)
        if not stored:
            results.write(followed, time.perf_counter() - start)
        if recorder is not None and frame.number > recorder.last:
            recorder.write(observe(followed))
        yield followed


def _plan(args: argparse.Namespace) -> _Plan:
    """What the arguments ask for; everything that can be found wrong early is."""
    if min(args.start, args.every) < 1:
        raise InputError("--start and --every count from 1: give 1 or more")
    targets = parse_targets(args.mask, args.box, args.point, args.object)
    files = [target.prompt.path for target in targets if isinstance(target.prompt, MaskFile)]
    source = open_source(*args.video, but_not=files)
    if source.total is not None and source.total < args.start:
        raise InputError(f"--start {args.start} is behind the last frame, {source.total}")
    check_starts(targets, args.start, args.every, source.total, source.live)
    choice = choose_tracker(args.preset, args.weights)
    prompted = choose_prompted(targets, args.weights, args.device)
    return _Plan(source, args.start, args.every, targets, choice, prompted, args.exact)


def _track_and_finish(
    plan: _Plan, args: argparse.Namespace, results: Results, recorder: Recorder | None
) -> None:
    """Track what is not done, then write what is made of all frames; keep what is done."""
    try:
        try:
            _track(plan, args, results, recorder)
        except (InputError, KeyboardInterrupt):
            if results.count:
                _finish(plan, results, complete=False)
                print(
                    f"hqtrack: stopped; {results.count} frames are done and kept in "
                    f"{results.folder}, the same command goes on after them",
                    file=sys.stderr,
                )
            raise
        _finish(plan, results, complete=True)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"no space is left for {results.folder}: free some, then the same command goes on "
            f"after the {results.count} frames that are done"
        ) from error


def _track(
    plan: _Plan, args: argparse.Namespace, results: Results, recorder: Recorder | None
) -> None:
    follower = Follower(_build(plan.choice, args), plan.targets, plan.prompted)
    if results.last:
        print(f"hqtrack: going on after frame {results.last}", file=sys.stderr)
    with contextlib.ExitStack() as stack:
        writers = []
        if args.overlay:
            video = OverlayVideo(results.folder / _OVERLAY, plan.source.rate)
            writers.append(stack.enter_context(video).write)
        advance = stack.enter_context(pace_on_stderr(plan.total))
        frames = plan.source.read(plan.start, plan.every)
        if not plan.source.live:
            frames = read_ahead(frames)
        for followed in follow(frames, follower, results, recorder):
            for write in writers:
                write(followed)
            advance()
    if not results.last:
        raise InputError(f"the video has no frame {plan.start}")
    for target in follower.pending:
        raise InputError(
            f"object {target.name} starts on frame {target.frame}, and the video ended after "
            f"{results.last}"
        )


def _finish(plan: _Plan, results: Results, complete: bool) -> None:
    summary = summarize(plan.targets, results.records())
    description = dataclasses.asdict(plan.description)
    content = {"run": description, "complete": complete, **summary.numbers()}
    results.write_json(_SUMMARY, [json.dumps(content, indent=1) + "\n"])
    results.write_json("masks.json", coco_parts(plan.targets, results.records))


def _is_complete(results: Results, recorder: Recorder | None, overlay: bool) -> bool:
    """Whether an equal run, whose journal is there, has come to its end with all that is asked."""
    path = results.folder / _SUMMARY
    if not path.exists() or (overlay and not (results.folder / _OVERLAY).exists()):
        return False
    if recorder is not None and recorder.last != results.last:
        return False
    return bool(json.loads(path.read_text(encoding="utf-8")).get("complete"))


def _build(choice: TrackerChoice, args: argparse.Namespace) -> Tracker:
    # torch comes with it: not before it is needed
    from hqtrack.build import build_tracker
    from hqtrack.threads import limit_threads

    limit_threads()
    options: dict[str, Any] = {} if choice.refiner is None else {"refiner": choice.refiner}
    if args.exact:
        options["exact"] = True
    return build_tracker(choice.preset, device=args.device, weights=args.weights, **options)


def _identity(target: Target) -> str:
    """A target, with the content of its mask file rather than the path."""
    where = describe(target.prompt)
    if isinstance(target.prompt, MaskFile):
        digest = hashlib.sha256(target.prompt.path.read_bytes()).hexdigest()[:16]
        where = f"object {target.prompt.label} of mask {digest}"
    start = "the first frame" if target.frame is None else f"frame {target.frame}"
    return f"{target.name} ({target.number}) from {start}: {where}"
