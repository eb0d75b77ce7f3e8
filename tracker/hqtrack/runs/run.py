"""A run: a video and its objects tracked into a folder, resumed where it was stopped."""

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
from typing import Any

from hqtrack.errors import InputError
from hqtrack.progress import pace_on_stderr
from hqtrack.records.record import Heading, Observed, Recorder
from hqtrack.runs.choice import TrackerChoice
from hqtrack.runs.coco import coco_parts
from hqtrack.runs.first_masks import Prompted
from hqtrack.runs.follower import Followed, Follower
from hqtrack.runs.results import Results, RunDescription
from hqtrack.runs.summary import summarize
from hqtrack.runs.targets import MaskFile, Target, describe
from hqtrack.tracker import Tracker
from hqtrack.video.overlay_video import OverlayVideo
from hqtrack.video.prefetch import read_ahead
from hqtrack.video.sources import Source
from hqtrack.video.streams import Frame

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
        overlay = None
        if args.overlay:
            video = OverlayVideo(results.folder / _OVERLAY, plan.source.rate)
            overlay = stack.enter_context(video)
        advance = stack.enter_context(pace_on_stderr(plan.total))
        frames = plan.source.read(plan.start, plan.every)
        if not plan.source.live:
            frames = read_ahead(frames)
        for followed in follow(frames, follower, results, recorder):
            if overlay is not None:
                numbers = [target.number for target in followed.targets]
                overlay.write(followed.frame, followed.masks, numbers)
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
    from hqtrack.compute.threads import limit_threads

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


def observe(followed: Followed) -> Observed:
    """A frame of a run, as it is recorded."""
    numbers = tuple(target.number for target in followed.targets)
    frame, _, masks, confidence, step = followed
    return Observed(frame.number, frame.name, frame.image, numbers, masks, confidence, step)
