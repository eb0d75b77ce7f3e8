"""Measure HQ-SAM light on stills held out from training: `python -m training.hqsam.held_out`.

Boxes around the true masks give SAM's mask, the HQ token's mask, both, and what
`MaskRefiner.segment` returns, beside GrabCut. Clicks are those of a patient user: the first one in
the middle of the object, each further one in the middle of the largest error.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from hqsam import HQSam
from hqtrack.errors import InputError
from hqtrack.looking import Prompts, WindowLook
from hqtrack.masks import label_masks, mask_boxes
from hqtrack.measures import region_similarity
from hqtrack.progress import progress_on_stderr
from hqtrack.refiner import LIGHT_WINDOWS, MaskRefiner
from hqtrack.types import Image, Masks
from hqtrack.windows import around
from training.data.datasets import open_datasets
from training.data.sources import Annotated
from training.engine.command import measuring
from training.hqsam.clicks import correction, middle
from training.hqsam.data import read_objects
from training.hqsam.grabcut import grabcut
from training.hqsam.light import load_light
from training.hqsam.measures import boundary_iou
from training.hqsam.prompted import split_stills

CLICKS = 5

LEAST = 400
"""Smallest object that is measured, in pixels."""

ROWS = {
    "grabcut": "box: GrabCut",
    "sam": "box: SAM",
    "hq": "box: HQ token",
    "both": "box: SAM + HQ token, single-mask mode",
    "segment": "box: segment, best-scored",
    "segment_best": "box: segment, best of three",
    "click": "1 click: segment, best-scored",
    "click_best": "1 click: segment, best of three",
    "clicks": f"{CLICKS} corrective clicks: segment, best-scored",
}


class Score(NamedTuple):
    """How well a mask fits."""

    iou: float
    boundary: float


def compared(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Score:
    """IoU and boundary IoU of two masks [H,W]."""
    pair = mask[None], truth[None]
    return Score(float(region_similarity(*pair)[0]), float(boundary_iou(*pair)[0]))


def measure_object(
    sam: HQSam, image: Image, truth: NDArray[np.bool_], clicks: bool, with_grabcut: bool
) -> dict[str, Score]:
    """The scores of one object by the keys of `ROWS`; those of clicks if wanted."""
    refiner = MaskRefiner(sam, windows=LIGHT_WINDOWS)
    boxes = mask_boxes(truth[None])
    found = {key: compared(mask, truth) for key, mask in _from_box(sam, image, boxes).items()}
    if with_grabcut:
        found["grabcut"] = compared(grabcut(image, boxes[0]), truth)
    found |= _candidates("segment", refiner.segment(image, boxes).masks[0], truth)
    if clicks:
        found |= _from_clicks(refiner, image, truth)
    return found


def _from_box(sam: HQSam, image: Image, boxes: NDArray[np.float64]) -> dict[str, NDArray[np.bool_]]:
    """The masks [H,W] of SAM, of the HQ token and of both in single-mask mode."""
    window = around(boxes[0], image.shape[:2], LIGHT_WINDOWS.margin)
    look = WindowLook(sam, image, [window])
    answer = look.answer(Prompts(boxes=boxes))
    logits = {"sam": answer.sam[:, :1], "hq": answer.hq, "both": answer.sam[:, :1] + answer.hq}
    return {key: look.masks(value)[0, 0] for key, value in logits.items()}


def _candidates(key: str, masks: Masks, truth: NDArray[np.bool_]) -> dict[str, Score]:
    """The scores of the first of some masks and of the one with the highest IoU."""
    scores = [compared(mask, truth) for mask in masks]
    return {key: scores[0], f"{key}_best": max(scores)}


def _from_clicks(refiner: MaskRefiner, image: Image, truth: NDArray[np.bool_]) -> dict[str, Score]:
    points, labels = [middle(truth)], [1]
    scores = {}
    for number in range(CLICKS):
        masks = refiner.segment(image, points=[points], labels=[labels]).masks[0]
        if number == 0:
            scores = _candidates("click", masks, truth)
        place, label = correction(None, masks[0], truth)
        if label < 0:
            break
        points.append(place)
        labels.append(label)
    scores["clicks"] = compared(masks[0], truth)
    return scores


def objects(stills: Sequence[Annotated], most: int) -> Iterator[tuple[Image, NDArray[np.bool_]]]:
    """Images with the mask of one object each; of every still the `most` largest objects."""
    for still in stills:
        image, labels, numbers = read_objects(still)
        masks = label_masks(labels, numbers)
        sizes = masks.sum((1, 2))
        for chosen in np.argsort(-sizes, kind="stable")[:most]:
            if sizes[chosen] >= LEAST:
                yield image, masks[chosen]


def table(title: str, scores: Sequence[dict[str, Score]]) -> Table:
    """Means over objects."""
    shown = Table(title=f"{title}, {len(scores)} objects")
    for column in ("masks", "mIoU", "boundary mIoU"):
        shown.add_column(column, justify="left" if column == "masks" else "right")
    for key, text in ROWS.items():
        values = [one[key] for one in scores if key in one]
        if values:
            shown.add_row(text, *(f"{mean:.3f}" for mean in np.mean(values, axis=0)))
    return shown


def run(args: argparse.Namespace) -> None:
    """Print a table for each dataset."""
    sam = load_light(args.weights)
    for dataset in open_datasets(args.data):
        stills = split_stills(dataset)[1][: args.most]
        scores = []
        with progress_on_stderr() as progress:
            for image, truth in progress.track(list(objects(stills, args.objects))):
                scores.append(
                    measure_object(sam, image, truth, not args.no_clicks, not args.no_grabcut)
                )
        if not scores:
            raise InputError(f"nothing is held out in {dataset.name}")
        Console().print(table(Path(dataset.name).name, scores))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="training.hqsam.held_out", description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="HQ-SAM light, or a run of it")
    parser.add_argument("--data", nargs="+", required=True, help="datasets of stills")
    parser.add_argument("--most", type=int, help="stills of each dataset")
    parser.add_argument("--objects", type=int, default=3, help="largest objects of each still")
    parser.add_argument("--no-clicks", action="store_true", help="measure boxes only")
    parser.add_argument("--no-grabcut", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args(arguments)
    return measuring("training.hqsam.held_out", args.threads, partial(run, args))


if __name__ == "__main__":
    sys.exit(main())
