"""Tracks a project: from its objects to the plan of a run, and through the frames of the run."""

import contextlib
import errno
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hqtrack.app.checkpoints import Checkpoints
from hqtrack.app.project import Item, Project
from hqtrack.errors import InputError
from hqtrack.files import replacing
from hqtrack.presets import LIGHT_REFINER
from hqtrack.records.record import Recorder
from hqtrack.runs.choice import TrackerChoice
from hqtrack.runs.first_masks import RefinerMasks
from hqtrack.runs.follower import Follower
from hqtrack.runs.plan import RunPlan
from hqtrack.runs.results import RECORD, Results
from hqtrack.runs.run import check_frame, finish, observe
from hqtrack.runs.targets import Correction, Gone, MaskFile, Prompt, Target, read_label_file
from hqtrack.tracker import Tracker
from hqtrack.video import write_labels
from hqtrack.video.prefetch import read_ahead
from hqtrack.video.run_lengths import decode_mask
from hqtrack.video.sources import Source


@dataclass(frozen=True)
class Setup:
    """The tracker of a project; see ``hqtrack.runs.plan.RunPlan``."""

    choice: TrackerChoice
    device: str | None = None
    weights: Path | None = None
    exact: bool = False
    rules: str | None = None


def plan_of(
    folder: Path, source: Source, setup: Setup, project: Project, size: tuple[int, int]
) -> RunPlan:
    """The run of a project, that of the command of ``command_of``; writes the given masks.

    size: (height, width) of the frames. Raises InputError if there is nothing to track, or if the
    first mask of an object is empty.
    """
    items = [item for item in project.items if item.given]
    if not items:
        raise InputError("there is nothing to track yet: add an object and mark it")
    targets = tuple(_target(folder, item, size) for item in items)
    return RunPlan(
        folder=folder,
        source=source,
        start=1,
        every=1,
        targets=targets,
        prompted=RefinerMasks(LIGHT_REFINER, None, setup.device),
        choice=setup.choice,
        device=setup.device,
        weights=setup.weights,
        exact=setup.exact,
        rules=setup.rules,
        record=True,
    )


def command_of(plan: RunPlan) -> list[str]:
    """The command that goes on with the run, or makes it anew in another folder."""
    places = [
        f"{each.name}@{each.frame}="
        + ("gone" if isinstance(each.prompt, Gone) else str(_path(each.prompt)))
        for target in plan.targets
        for each in target.given
    ]
    options = ["--preset", plan.choice.preset, "--record", "--output", str(plan.folder)]
    if plan.device is not None:
        options += ["--device", plan.device]
    if plan.weights is not None:
        options += ["--weights", str(plan.weights)]
    if plan.choice.refiner is not None:
        options += ["--refiner", plan.choice.refiner]
    if plan.exact:
        options.append("--exact")
    if plan.rules is not None:
        options += ["--rules", plan.rules]
    return ["hqtrack", "run", plan.source.address, *options, "--object", *places]


_EVERY = 5
"""Frames from one state that may be kept to the next."""


class Stopped(Exception):
    """A person has stopped the tracking."""


def track(
    plan: RunPlan,
    build: Callable[[], Tracker],
    checkpoints: Checkpoints,
    to: int,
    last: int,
    told: Callable[[int, bool], None],
) -> None:
    """Track the unfinished frames of a run up to frame ``to``, and save each of them.

    ``last``: the number of the last frame of the video. ``checkpoints``: states of the tracker that
    ``build`` gives.

    ``told`` is called after each frame with its number, and whether it was finished before and only
    read again, to rebuild the tracker's memory; it may raise ``Stopped``. Raises InputError if the
    folder has another run, or a frame cannot be used; finished frames are kept.
    """
    with contextlib.ExitStack() as stack:
        results = stack.enter_context(Results(plan.folder, plan.description))
        if results.input_change:
            raise InputError(
                f"the video has changed ({results.input_change}): open it with another --output"
            )
        recorder = stack.enter_context(Recorder(plan.folder / RECORD, plan.heading, results.last))
        if to <= results.last:
            finish(plan, results, complete=results.last >= last)
            return
        try:
            complete = False
            try:
                follower = Follower(build(), plan.targets, plan.prompted)
                complete = _through(plan, follower, checkpoints, results, recorder, to, told)
            finally:
                if results.count:
                    finish(plan, results, complete)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InputError(
                f"no space is left for {plan.folder}: free some, and track on after the "
                f"{results.count} finished frames"
            ) from error


def _through(
    plan: RunPlan,
    follower: Follower,
    checkpoints: Checkpoints,
    results: Results,
    recorder: Recorder,
    to: int,
    told: Callable[[int, bool], None],
) -> bool:
    """Give the tracker the frames up to ``to``; returns whether the video has no more."""
    before = results.last
    saved = checkpoints.last(min(before, recorder.last))
    if saved is not None:
        follower.resume(saved)
    skipped = 0 if saved is None else saved.frame
    done = (record for record in results.records() if record.number > skipped)
    for frame in read_ahead(plan.source.read(skipped + 1)):
        if frame.number > to:
            return False
        record = next(done, None) if frame.number <= before else None
        if frame.number <= before:
            check_frame(frame, record, plan.source.address, plan)
        if record is not None and frame.number <= recorder.last:
            follower.repeat(frame)
        else:
            start = time.perf_counter()
            followed = follower.follow(frame)
            if record is None:
                results.write(followed, time.perf_counter() - start)
            recorder.write(observe(followed))
        if frame.number % _EVERY == 0 or frame.number == to:
            checkpoints.add(follower.save())
        told(frame.number, record is not None)
    return True


def _target(folder: Path, item: Item, size: tuple[int, int]) -> Target:
    prompts = [_prompt(folder, item, given.frame, given.mask, size) for given in item.given]
    if isinstance(prompts[0], Gone):
        raise InputError(
            f"object {item.name} has an empty mask on frame {item.given[0].frame}, its first: mark "
            "it there, or take the mask back"
        )
    corrections = [
        Correction(given.frame, prompt)
        for given, prompt in zip(item.given[1:], prompts[1:], strict=True)
    ]
    return Target(item.name, item.number, item.given[0].frame, prompts[0], tuple(corrections))


def _prompt(folder: Path, item: Item, frame: int, mask: str, size: tuple[int, int]) -> Prompt:
    """The mask as a file, as the command line would give it."""
    labels = decode_mask(mask, *size).astype(np.uint8)
    if not labels.any():
        return Gone()
    path = folder / "given" / f"{item.number:03d}_{frame:08d}.png"
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as part:
        write_labels(part, labels)
    return MaskFile(read_label_file(path), 1)


def _path(prompt: Prompt) -> Path:
    if not isinstance(prompt, MaskFile):
        raise TypeError(f"{prompt} has no file")
    return prompt.file.path
