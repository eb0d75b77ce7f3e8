"""Step 7: the light tracker, fast against exact, and `hqtrack run` with and without overlay."""

import json
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.gpu_check.found import CheckFailed, Found, NotRun, Options
from benchmarks.gpu_check.verdict import IOU
from hqtrack.build import build_tracker
from hqtrack.masks import labels_to_masks, masks_to_labels
from hqtrack.synthetic import RESERVED_SEED, generate
from hqtrack.types import Image, Masks
from hqtrack.video import open_sequence, read_frames, write_labels
from hqtrack.video.images import write_image

FRAMES = 40
NEEDED = ("av", "rich", "pycocotools", "trax")
"""Modules that `hqtrack run` and what it imports need."""


def check(options: Options, found: Found) -> None:
    """Raises CheckFailed where the masks differ by more than rounding should make them."""
    device = "cpu" if options.dry else "cuda"
    count = 3 if options.dry else FRAMES
    images, masks = frames_of(options.sequence, count, (48, 64) if options.dry else (1080, 1920))
    found.put("frames", str(options.sequence or "generated"))
    results = {exact: track(images, masks, device, exact) for exact in (True, False)}
    iou = mean_iou(results[False], results[True])
    found.put("iou", iou)
    if not options.dry and iou < IOU:
        raise CheckFailed(f"mean IoU of fast and exact masks {iou:.4f}, not {IOU}")
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise NotRun(f"hqtrack run needs {', '.join(missing)}; masks were compared")
    with tempfile.TemporaryDirectory(prefix="hqtrack-check-") as folder:
        video, first = write_video(Path(folder), images, masks)
        times: dict[str, Any] = {}
        for name, more in (("plain", []), ("overlay", ["--overlay"])):
            output = Path(folder) / name
            times[name] = run_time([str(video), "--mask", str(first), *more], output, device)
            found.put("hqtrack run, s", times)
    found.put("images", len(images))


def frames_of(
    sequence: Path | None, count: int, size: tuple[int, int]
) -> tuple[list[Image], Masks]:
    """At most `count` frames of a sequence or a generated clip, and the masks of the first."""
    if sequence is None:
        clip = generate(RESERVED_SEED, count, size, 3)
        return list(clip.images), labels_to_masks(clip.masks[0], 3)
    opened = open_sequence(sequence)
    return list(read_frames(opened.frames[:count])), opened.masks(0)


def track(images: list[Image], masks: Masks, device: str, exact: bool) -> list[Masks]:
    """The masks of the light tracker on all frames but the first."""
    tracker = build_tracker("light", torch.device(device), exact=exact)
    tracker.initialize(images[0], masks)
    return [tracker.track(image).masks for image in images[1:]]


def mean_iou(ours: list[Masks], theirs: list[Masks]) -> float:
    """The mean over frames and objects; 1 where both masks are empty."""
    values = []
    for one, other in zip(ours, theirs, strict=True):
        both, either = (one & other).sum((1, 2)), (one | other).sum((1, 2))
        values.append(np.where(either > 0, both / np.maximum(either, 1), 1))
    return float(np.mean(values))


def write_video(folder: Path, images: list[Image], masks: Masks) -> tuple[Path, Path]:
    """Write frames and a label map; returns the folder of frames and the file."""
    video, first = folder / "video", folder / "first.png"
    video.mkdir()
    for number, image in enumerate(images):
        write_image(video / f"{number:05}.jpg", image)
    write_labels(first, masks_to_labels(masks))
    return video, first


def run_time(arguments: list[str], output: Path, device: str) -> dict[str, Any]:
    """Seconds of `hqtrack run` in a new process, and the frames per second that it tells."""
    command = [sys.executable, "-m", "hqtrack", "run", *arguments, "--output", str(output)]
    command += ["--preset", "light", "--device", device]
    begin = time.perf_counter()
    ended = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if ended.returncode:
        raise CheckFailed(f"hqtrack run ended with {ended.returncode}: {ended.stderr.strip()}")
    summary = json.loads((output / "summary.json").read_text())
    return {"s": seconds, "fps": summary.get("fps")}
