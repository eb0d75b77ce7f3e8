"""The command ``hqtrack run``: follow objects through a folder of images."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from hqtrack.errors import InputError
from hqtrack.masks import label_masks, masks_to_labels
from hqtrack.overlay import draw_masks
from hqtrack.progress import progress_on_stderr
from hqtrack.tracker import Tracker
from hqtrack.types import Image, Masks
from hqtrack.video import list_images, read_frames, read_labels, write_labels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``hqtrack run``."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="images, in order of name")
    parser.add_argument(
        "--mask",
        type=Path,
        required=True,
        metavar="PNG",
        help="label map of the first image: 0 is background, every other number an object",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="where a label map per image is written, with the numbers of --mask",
    )
    parser.add_argument(
        "--overlay", action="store_true", help="also write DIR/overlay: images with masks drawn"
    )
    parser.add_argument(
        "--preset",
        choices=("light", "full"),
        default="full",
        help="the small tracker or the released one (default: %(default)s)",
    )
    parser.add_argument("--device", help="where to compute: cpu, cuda, cuda:1 (default: the best)")
    parser.add_argument("--weights", type=Path, help="checkpoint to use instead of the known one")


def run(args: argparse.Namespace) -> int:
    """Write a label map, and with ``--overlay`` a drawing, for every image as it is tracked."""
    frames = [path for path in list_images(args.folder) if not _same(path, args.mask)]
    if not frames:
        raise InputError(f"{args.folder} holds no image besides {args.mask}: add the frames")
    labels = read_labels(args.mask)
    present = np.unique(labels)
    numbers = present[present > 0].tolist()
    if not numbers:
        raise InputError(f"{args.mask} marks no object: give each object a number above 0")
    overlays = args.output / "overlay"
    if _same(args.output, args.folder) or _same(overlays, args.folder):
        raise InputError(f"{args.output} holds the images themselves: give another --output")
    (overlays if args.overlay else args.output).mkdir(parents=True, exist_ok=True)
    # torch comes with it: not before it is needed
    from hqtrack.build import build_tracker

    tracker = build_tracker(args.preset, device=args.device, weights=args.weights)
    tracked = follow(tracker, read_frames(frames), label_masks(labels, numbers))
    numbering = np.array([0, *numbers])
    with progress_on_stderr() as progress:
        task = progress.add_task("tracking", total=len(frames))
        for path, (image, masks) in zip(frames, tracked, strict=True):
            write_labels(args.output / f"{path.stem}.png", numbering[masks_to_labels(masks)])
            if args.overlay:
                _write_jpeg(overlays / f"{path.stem}.jpg", draw_masks(image, masks, numbers))
            progress.advance(task)
    return 0


def follow(
    tracker: Tracker, frames: Iterator[Image], first_masks: Masks
) -> Iterator[tuple[Image, Masks]]:
    """Each frame with its masks [N,H,W]: the given ones on the first, tracked ones after it."""
    first = next(frames)
    tracker.initialize(first, first_masks)
    yield first, first_masks
    for image in frames:
        yield image, tracker.track(image).masks


def _write_jpeg(path: Path, image: Image) -> None:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    path.write_bytes(data.tobytes())


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
