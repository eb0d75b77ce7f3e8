"""Carries out a run: tracks a video into a folder, and resumes where an earlier run stopped."""

import contextlib
import dataclasses
import errno
import json
import math
import os
import sys
import time
from functools import partial

from hqtrack.errors import InputError, ran_out_of_memory
from hqtrack.files import part_of
from hqtrack.progress import pace_on_stderr
from hqtrack.records.record import Observed, Recorder
from hqtrack.runs.coco import coco_parts
from hqtrack.runs.follower import Followed, Follower
from hqtrack.runs.identity import image_digest
from hqtrack.runs.journal import FrameRecord
from hqtrack.runs.plan import RunPlan
from hqtrack.runs.results import COCO, OVERLAY, RECORD, SUMMARY, Results
from hqtrack.runs.summary import Summary, summarize
from hqtrack.runs.writer import WriterThread
from hqtrack.signals import uninterrupted
from hqtrack.video.overlay_video import OverlayVideo, frames_in
from hqtrack.video.prefetch import read_ahead
from hqtrack.video.streams import Frame


class CannotGoOn(InputError):
    """The finished frames are not those of the input: the same command would fail again."""


class NeverStarted(InputError):
    """An object starts, or is corrected, on a frame that the video does not have."""


def carry_out(plan: RunPlan) -> Summary:
    """Track all unfinished frames, and save each frame as it finishes.

    This tracks nothing if an equal run is complete. See ``hqtrack.runs.results`` for the files.
    Raises InputError if the folder has another run or that of another input, belongs to a run in
    another process or is not writable, and for a frame or prompt that cannot be used; finished
    frames are kept.
    """
    with contextlib.ExitStack() as stack:
        results = stack.enter_context(Results(plan.folder, plan.description, plan.restart))
        if results.last and plan.source.live:
            raise InputError(
                f"{plan.folder} has a run, and a live video cannot be resumed: give another "
                "--output, or --restart to replace it"
            )
        more = _check_input(plan, results) if results.input_change else False
        recorder = None
        if plan.record:
            resumed = Recorder(plan.folder / RECORD, plan.heading, results.last)
            recorder = stack.enter_context(resumed)
        if more or not _is_complete(plan, results, recorder):
            _track_and_finish(plan, results, recorder)
        elif not results.has_whole(COCO):
            finish(plan, results, complete=True)
        return summarize(plan.targets, results.records())


def _check_input(plan: RunPlan, results: Results) -> bool:
    """Compare the finished frames with the present input; returns whether it has more frames.

    Raises CannotGoOn if one differs.
    """
    change = results.input_change
    frames = plan.source.read(plan.start, plan.every)
    for record in results.records():
        check_frame(next(frames, None), record, f"{plan.source.address} ({change})", plan)
    more = next(frames, None) is not None
    if more:
        # from now on the run counts as unfinished, even if it is killed before the next frame
        (results.folder / SUMMARY).unlink(missing_ok=True)
    results.adopt_input()
    if more and results.count:
        print(
            f"hqtrack: the input has changed ({change}), but not its first {results.count} frames, "
            "which are finished",
            file=sys.stderr,
        )
    return more


def check_frame(
    frame: Frame | None, record: FrameRecord | None, address: str, plan: RunPlan
) -> None:
    """Raise CannotGoOn unless this frame is the one of a line of the journal."""
    if frame is not None and record is not None:
        same = (frame.number, frame.name) == (record.number, record.name)
        if same and image_digest(frame.image) == record.image:
            return
        number = min(frame.number, record.number)
        reason = f"frame {number} of {address} is not the one whose masks are in {plan.folder}"
    elif record is not None:
        reason = f"{address} ends before frame {record.number}, whose masks are in {plan.folder}"
    else:
        reason = f"the journal in {plan.folder} lacks a frame of {address}"
    raise CannotGoOn(f"{reason}: give another --output, or --restart to replace them")


def _track_and_finish(plan: RunPlan, results: Results, recorder: Recorder | None) -> None:
    """Track unfinished frames, then write the files about all frames; keep finished frames."""
    try:
        try:
            _track(plan, results, recorder)
        except CannotGoOn:
            raise
        except (Exception, KeyboardInterrupt) as error:
            if results.count and (_can_be_mended(error) or isinstance(error, KeyboardInterrupt)):
                with uninterrupted():
                    finish(plan, results, complete=results.is_finished())
                    print(f"hqtrack: {_stopped(plan, results, error)}", file=sys.stderr)
            raise
        with uninterrupted():
            finish(plan, results, complete=True)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"no space is left for {results.folder}: free some, then the same command"
            f"{_not_again(plan)} resumes after the {results.count} finished frames"
        ) from error


def _can_be_mended(error: BaseException) -> bool:
    return isinstance(error, InputError) or ran_out_of_memory(error)


def _stopped(plan: RunPlan, results: Results, error: BaseException) -> str:
    """What is saved of a run that stopped early, and how it goes on, if it can."""
    saved = f"stopped; {results.count} finished frames are saved in {results.folder}"
    if plan.source.live or isinstance(error, NeverStarted):
        return saved
    command = f"the same command{_not_again(plan)} resumes after them"
    if isinstance(error, KeyboardInterrupt):
        return f"{saved}; {command}"
    return f"{saved}; once what follows is mended, {command}"


def _not_again(plan: RunPlan) -> str:
    return " without --restart" if plan.restart else ""


def _track(plan: RunPlan, results: Results, recorder: Recorder | None) -> None:
    follower = Follower(plan.build_tracker(), plan.targets, plan.prompted)
    if results.last:
        print(f"hqtrack: resuming after frame {results.last}", file=sys.stderr)
    last_before = results.last
    with contextlib.ExitStack() as stack:
        overlay = stack.enter_context(_Overlay(plan, results)) if plan.overlay else None
        exact = plan.source.total is not None
        advance = stack.enter_context(pace_on_stderr(plan.expected, exact))
        done = results.records()
        frames = plan.source.read(plan.start, plan.every)
        if not plan.source.live:
            frames = read_ahead(frames)
        outputs = _Outputs(results, recorder, overlay)
        writer = stack.enter_context(WriterThread())
        for frame in frames:
            record = None
            if frame.number <= last_before:
                record = next(done, None)
                check_frame(frame, record, plan.source.address, plan)
            _advance(frame, record, follower, outputs, writer)
            advance()
    if results.count and (record := next(done, None)) is not None and record.number <= last_before:
        check_frame(None, record, plan.source.address, plan)
    for target in follower.pending:
        raise NeverStarted(
            f"object {target.name} is given on frame {target.frame}, and the video ended after "
            f"{results.last}: mark it on an earlier frame, with --restart or another --output"
        )


def _advance(
    frame: Frame,
    record: FrameRecord | None,
    follower: Follower,
    outputs: "_Outputs",
    writer: WriterThread,
) -> None:
    """Give the tracker a frame, and save it; ``record`` is its line if it is finished.

    The tracker gets all frames, to rebuild its memory, which depends on all previous frames. So the
    new masks are those of an uninterrupted run, exactly so with the same number of threads. Frames
    that are missing only in the record are tracked once more.
    """
    if record is not None and outputs.have_recorded(frame):
        followed = outputs.needed(follower.repeat(frame))
        writer.put(partial(outputs.show_again, followed, record))
        return
    start = time.perf_counter()
    followed = follower.follow(frame)
    seconds = time.perf_counter() - start
    writer.put(partial(outputs.save, outputs.needed(followed), record, seconds))


class _Outputs:
    """What a run writes of each frame; after the first frame, only the writer's thread uses it."""

    def __init__(
        self, results: Results, recorder: Recorder | None, overlay: "_Overlay | None"
    ) -> None:
        self._results = results
        self._recorder = recorder
        self._overlay = overlay
        self._recorded = math.inf if recorder is None else recorder.last

    def have_recorded(self, frame: Frame) -> bool:
        """Whether the record needs nothing of a frame that was finished when the run began."""
        return frame.number <= self._recorded

    def needed(self, followed: Followed) -> Followed:
        """Without the tracker's step, which is large, if nothing is recorded."""
        return followed._replace(step=None) if self._recorder is None else followed

    def save(self, followed: Followed, record: FrameRecord | None, seconds: float) -> None:
        """Write a frame that was tracked; ``record`` is its line if it is finished."""
        if record is None:
            self._results.write(followed, seconds)
        if self._recorder is not None and followed.frame.number > self._recorder.last:
            self._recorder.write(observe(followed))
        if self._overlay is not None:
            self._overlay.write(followed)

    def show_again(self, followed: Followed, record: FrameRecord) -> None:
        """Write a finished frame into a new overlay."""
        if self._overlay is not None:
            self._overlay.write(followed._replace(masks=record.masks()))


class _Overlay:
    """Writes the overlay; it replaces an earlier one if it shows all finished frames."""

    def __init__(self, plan: RunPlan, results: Results) -> None:
        self._results = results
        self._path = results.folder / OVERLAY
        self._video = OverlayVideo(part_of(self._path), plan.source.rate, plan.heading.objects)
        self._shown = 0

    def write(self, followed: Followed) -> None:
        numbers = [target.number for target in followed.targets]
        self._video.write(followed.frame, followed.masks, numbers)
        self._shown += 1

    def __enter__(self) -> "_Overlay":
        return self

    def __exit__(self, *error: object) -> None:
        part = part_of(self._path)
        with uninterrupted():
            try:
                self._video.close()
                if self._shown == self._results.count > 0:
                    os.replace(part, self._path)
            finally:
                part.unlink(missing_ok=True)


def finish(plan: RunPlan, results: Results, complete: bool) -> None:
    """Write the files about all finished frames; ``complete`` says whether there are no more."""
    summary = summarize(plan.targets, results.records())
    description = dataclasses.asdict(plan.description)
    results.write_json(COCO, coco_parts(plan.targets, results.records))
    content = {"run": description, "complete": complete, **summary.numbers()}
    results.write_json(SUMMARY, [json.dumps(content, indent=1) + "\n"])


def _is_complete(plan: RunPlan, results: Results, recorder: Recorder | None) -> bool:
    """Whether the run is complete and has all files that the plan requests."""
    if not results.is_finished():
        return False
    if plan.overlay and frames_in(results.folder / OVERLAY) != results.count:
        return False
    return recorder is None or recorder.last == results.last


def observe(followed: Followed) -> Observed:
    """A frame of a run for the record."""
    numbers = tuple(target.number for target in followed.targets)
    frame, targets, masks, confidence, step = followed
    corrected = tuple(
        target.number
        for target in targets
        if any(each.frame == frame.number for each in target.corrections)
    )
    return Observed(
        frame.number, frame.name, frame.image, numbers, masks, confidence, step, given=corrected
    )
