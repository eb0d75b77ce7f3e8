"""Carries out a run: tracks a video into a folder, and resumes where an earlier run stopped."""

import contextlib
import dataclasses
import errno
import json
import sys
import time
from collections.abc import Iterable, Iterator

from hqtrack.errors import InputError
from hqtrack.progress import pace_on_stderr
from hqtrack.records.record import Observed, Recorder
from hqtrack.runs.coco import coco_parts
from hqtrack.runs.follower import Followed, Follower
from hqtrack.runs.plan import RunPlan
from hqtrack.runs.results import Results
from hqtrack.runs.summary import Summary, summarize
from hqtrack.video.overlay_video import OverlayVideo
from hqtrack.video.prefetch import read_ahead
from hqtrack.video.streams import Frame

_SUMMARY, _OVERLAY, _RECORD = "summary.json", "overlay.mp4", "record"


def carry_out(plan: RunPlan) -> Summary:
    """Track all unfinished frames, and save each frame as it finishes.

    This tracks nothing if an equal run is complete. See ``hqtrack.runs.results`` for the files.
    Raises InputError if the folder has another run or is not writable, and for a frame or prompt
    that cannot be used; finished frames are kept.
    """
    with contextlib.ExitStack() as stack:
        results = stack.enter_context(Results(plan.folder, plan.description))
        if results.last and plan.source.live:
            raise InputError(
                f"{plan.folder} has a run, and a live video cannot be resumed: give another "
                "--output"
            )
        recorder = None
        if plan.record:
            resumed = Recorder(plan.folder / _RECORD, plan.heading, resume=results.count > 0)
            recorder = stack.enter_context(resumed)
        if not _is_complete(plan, results, recorder):
            _track_and_finish(plan, results, recorder)
        return summarize(plan.targets, results.records())


def follow(
    frames: Iterable[Frame],
    follower: Follower,
    results: Results,
    recorder: Recorder | None = None,
) -> Iterator[Followed]:
    """Each frame with its masks: finished frames with their saved masks, new frames are saved.

    Frames that are missing only in the record are tracked once more.

    The tracker gets all frames, to rebuild its memory, which depends on all previous frames. So the
    new masks are those of an uninterrupted run, exactly so with the same number of threads.
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


def _track_and_finish(plan: RunPlan, results: Results, recorder: Recorder | None) -> None:
    """Track unfinished frames, then write the files about all frames; keep finished frames."""
    try:
        try:
            _track(plan, results, recorder)
        except (InputError, KeyboardInterrupt):
            if results.count:
                _finish(plan, results, complete=False)
                print(
                    f"hqtrack: stopped; {results.count} finished frames are saved in "
                    f"{results.folder}; the same command resumes after them",
                    file=sys.stderr,
                )
            raise
        _finish(plan, results, complete=True)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"no space is left for {results.folder}: free some, then the same command resumes "
            f"after the {results.count} finished frames"
        ) from error


def _track(plan: RunPlan, results: Results, recorder: Recorder | None) -> None:
    follower = Follower(plan.build_tracker(), plan.targets, plan.prompted)
    if results.last:
        print(f"hqtrack: resuming after frame {results.last}", file=sys.stderr)
    with contextlib.ExitStack() as stack:
        overlay = None
        if plan.overlay:
            video = OverlayVideo(results.folder / _OVERLAY, plan.source.rate, plan.heading.objects)
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


def _finish(plan: RunPlan, results: Results, complete: bool) -> None:
    summary = summarize(plan.targets, results.records())
    description = dataclasses.asdict(plan.description)
    content = {"run": description, "complete": complete, **summary.numbers()}
    results.write_json(_SUMMARY, [json.dumps(content, indent=1) + "\n"])
    results.write_json("masks.json", coco_parts(plan.targets, results.records))


def _is_complete(plan: RunPlan, results: Results, recorder: Recorder | None) -> bool:
    """Whether the run is complete and has all files that the plan requests."""
    path = results.folder / _SUMMARY
    if not path.exists() or (plan.overlay and not (results.folder / _OVERLAY).exists()):
        return False
    if recorder is not None and recorder.last != results.last:
        return False
    return bool(json.loads(path.read_text(encoding="utf-8")).get("complete"))


def observe(followed: Followed) -> Observed:
    """A frame of a run for the record."""
    numbers = tuple(target.number for target in followed.targets)
    frame, _, masks, confidence, step = followed
    return Observed(frame.number, frame.name, frame.image, numbers, masks, confidence, step)
