"""The command ``hqtrack run``: tracks objects through a video."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from hqtrack.commands.options import add_choice, add_rules, add_tracker_options
from hqtrack.errors import InputError
from hqtrack.runs.choice import choose_prompted, choose_tracker
from hqtrack.runs.follower import check_starts
from hqtrack.runs.plan import RunPlan
from hqtrack.runs.preview import preview
from hqtrack.runs.run import carry_out
from hqtrack.runs.targets import MaskFile, Target, parse_targets
from hqtrack.video import order_images
from hqtrack.video.sources import Source, open_source
from hqtrack.video.streams import check_reached


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack run``."""
    parser.add_argument(
        "video",
        nargs="+",
        metavar="VIDEO",
        help="a video file, a file of several images, a folder or pattern of images, a sequence "
        "(a folder with color/), the index of a camera, or a URL",
    )
    # argparse takes -5,20,40,40 for an option: its own pattern knows single numbers alone
    parser._negative_number_matcher = re.compile(r"-\.?\d[-+.,\deE]*")
    objects = parser.add_argument_group("objects", "at least one; frames are counted from 1")
    objects.add_argument(
        "--mask",
        type=Path,
        action="append",
        default=[],
        metavar="PNG",
        help="label map of the first frame: 0 is background, every other number an object; repeat "
        "it for masks in several files",
    )
    for flag, metavar, meaning in (
        ("--box", "X,Y,W,H", "objects on the first frame, by their boxes"),
        (
            "--point",
            "X,Y",
            "objects by a point on each (X,Y,X,Y: two points on one object; X,Y,-X,Y: one on it "
            "and one beside it)",
        ),
        (
            "--object",
            "NAME@FRAME=WHERE",
            "an object that starts on a later frame; WHERE is a mask file, box:X,Y,W,H or "
            "point:X,Y; the same NAME on another frame corrects the object, also with WHERE gone",
        ),
    ):
        objects.add_argument(
            flag, nargs="+", action="extend", default=[], metavar=metavar, help=meaning
        )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for masks, summary and overlay (default: tracked/NAME); the same command "
        "again resumes an interrupted run",
    )
    parser.add_argument(
        "--restart",
        action="store_true",
        help="replace an earlier run in DIR: delete the files that it wrote, and no others",
    )
    parser.add_argument(
        "--preview",
        action="store_true",
        help="only write the masks of the first frame, next to DIR, to look at them",
    )
    parser.add_argument(
        "--overlay", action="store_true", help="also write a video with the masks drawn on it"
    )
    parser.add_argument(
        "--record", action="store_true", help="also save a record for `hqtrack inspect DIR`"
    )
    parser.add_argument(
        "--start", type=int, default=1, metavar="N", help="first frame (default: 1)"
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every N-th frame")
    add_choice(parser)
    add_tracker_options(parser)
    add_rules(parser)


def run(args: argparse.Namespace) -> int:
    """Track, and save frames as they finish; see ``hqtrack.runs.results`` for the files."""
    plan = _plan(args)
    if args.preview:
        for path in preview(plan):
            print(path)
        return 0
    summary = carry_out(plan)
    Console().print(summary.table())
    print(f"{summary.frames} frames are in {plan.folder}")
    if summary.damaged:
        print(f"hqtrack: {_about_damage(summary.damaged)}", file=sys.stderr)
    if plan.record:
        print(f"look inside with: hqtrack inspect {plan.folder}")
    return 0


def _plan(args: argparse.Namespace) -> RunPlan:
    """The plan that the arguments describe; raises as many errors as possible now."""
    if min(args.start, args.every) < 1:
        raise InputError("--start and --every count from 1: give 1 or more")
    example = _first_mask(Path(args.video[0]))
    targets = parse_targets(args.mask, args.box, args.point, args.object, example)
    _say_how_masks_are_read(targets)
    prompts = [each.prompt for target in targets for each in target.given]
    files = [prompt.file.path for prompt in prompts if isinstance(prompt, MaskFile)]
    source = open_source(*args.video, but_not=files)
    if source.total is not None:
        check_reached(source.address, args.start, source.total)
    check_starts(targets, args.start, args.every, source.total, source.live)
    _warn_of_the_end(targets, args.start, source)
    choice = choose_tracker(args.preset, args.weights, args.refiner)
    return RunPlan(
        folder=args.output or Path("tracked", source.name),
        source=source,
        start=args.start,
        every=args.every,
        targets=tuple(targets),
        prompted=choose_prompted(targets, args.weights, args.device),
        choice=choice,
        device=args.device,
        weights=args.weights,
        exact=args.exact,
        rules=args.rules,
        overlay=args.overlay,
        record=args.record,
        restart=args.restart,
    )


def _first_mask(video: Path) -> str:
    """The first mask of a sequence, for a message; PNG if this is no sequence or has none."""
    folder = (video.parent if video.name == "color" else video) / "masks"
    masks = order_images(folder.iterdir()) if folder.is_dir() else []
    return str(masks[0]) if masks else "PNG"


def _about_damage(numbers: list[int]) -> str:
    """A message about the frames with these numbers."""
    named = ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")
    return (
        f"the video is damaged at frame {named}: where nothing of a frame could be decoded, the "
        "frame before it was tracked once more; summary.json lists such frames"
    )


def _say_how_masks_are_read(targets: list[Target]) -> None:
    """Print what the reader of the mask files decided, and which objects got another number."""
    lines: dict[str, None] = {}
    for given in (given for target in targets for given in target.given):
        if not isinstance(given.prompt, MaskFile):
            continue
        file, label = given.prompt
        lines.update(dict.fromkeys(note.text for note in file.notes))
        if given.frame is None and given.number != label:
            lines[f"object {label} of {file.path} is object {given.number} of this run"] = None
    for line in lines:
        print(f"hqtrack: {line}", file=sys.stderr)


def _warn_of_the_end(targets: Sequence[Target], start: int, source: Source) -> None:
    """Say which frames are probably behind the end of a video whose length is an estimate."""
    if source.total is not None or source.expected is None:
        return
    wanted = [
        (f"object {each.name}", each.frame or 0) for target in targets for each in target.given
    ]
    for what, frame in [("the run", start), *wanted]:
        if frame > source.expected:
            print(
                f"hqtrack: {what} starts on frame {frame}, and the video seems to have only about "
                f"{source.expected}",
                file=sys.stderr,
            )
