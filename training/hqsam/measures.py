"""Quality of masks: mean IoU and boundary IoU of SAM and of HQ-SAM, from true boxes."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from rich.table import Table

from hqsam import HQSam
from hqtrack.masks import label_masks, mask_boxes
from hqtrack.measures import region_similarity
from hqtrack.types import Boxes, Image, Masks, Scores
from training.data.sources import Annotated
from training.hqsam.data import read_objects
from training.hqsam.model import Outputs, compare, encode_prompts
from training.hqsam.views import Kind

MEASURES = ("mIoU", "boundary mIoU")

_BOXES_AT_ONCE = 10


def boundary_iou(a: Masks, b: Masks, dilation: float = 0.02) -> Scores:
    """Boundary IoU (Cheng et al., 2021) of mask n of one stack and mask n of the other.

    It is the IoU of the parts of the masks within a distance of their boundaries: `dilation` times
    the diagonal of the frame, in whole pixels, at least 1, with the chessboard metric. The sides of
    the frame are boundaries. Both stacks are [N,H,W]; returns [N] in [0, 1]. Two empty masks give
    1. Raises InputError if the shapes differ.
    """
    distance = max(1, round(dilation * math.hypot(*a.shape[1:])))
    rims = (
        np.array([_rim(mask, distance) for mask in stack], bool).reshape(stack.shape)
        for stack in (a, b)
    )
    return region_similarity(*rims)


def _rim(mask: NDArray[np.bool_], distance: int) -> NDArray[np.bool_]:
    """The pixels of a mask within `distance` of the outside."""
    core = cv2.erode(
        mask.view(np.uint8),
        np.ones((3, 3), np.uint8),
        iterations=distance,
        borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return mask & (core == 0)


def measure(sam: HQSam, stills: Sequence[Annotated], title: str = "") -> NDArray[np.float64]:
    """Means over all objects: a row for each of `Outputs`, a column for each of `MEASURES`.

    Raises InputError if an image or its masks cannot be used.
    """
    scores = [
        measure_image(sam, image, label_masks(labels, numbers))
        for image, labels, numbers in map(read_objects, track(stills, title, disable=not title))
    ]
    means: NDArray[np.float64] = np.concatenate(scores).mean(axis=0)
    return means


def measure_image(sam: HQSam, image: Image, truth: Masks) -> NDArray[np.float64]:
    """Scores [N,3,2] of the N objects of an image, in the order of `Outputs` and `MEASURES`."""
    return np.array(
        [
            [region_similarity(masks, wanted), boundary_iou(masks, wanted)]
            for masks, mask in zip(predict(sam, image, mask_boxes(truth)), truth, strict=True)
            for wanted in [np.repeat(mask[None], len(masks), axis=0)]
        ],
        np.float64,
    ).transpose(0, 2, 1)


@torch.inference_mode()
def predict(sam: HQSam, image: Image, boxes: Boxes) -> list[Masks]:
    """The three masks [3,H,W] of `Outputs` for each box, at the size of the image."""
    embedding = sam.embed(torch.tensor(image))
    height, width = (
        resized / original
        for resized, original in zip(embedding.input_size, embedding.image_size, strict=True)
    )
    scaled = torch.tensor(boxes * (width, height, width, height)).to(embedding.features)
    found: list[Masks] = []
    for some in scaled.split(_BOXES_AT_ONCE):
        outputs = compare(
            sam,
            embedding.features,
            embedding.hq_features,
            *encode_prompts(sam, Kind.BOX, some),
        )
        for logits in torch.stack(outputs, dim=1):
            found.append((sam.to_image(logits, embedding)[:, 0] > 0).cpu().numpy())
    return found


def table(rows: dict[str, tuple[int, NDArray[np.float64]]]) -> Table:
    """The results of `measure` in percent, by name of the dataset, with its number of images."""
    shown = Table(title="boxes around the true masks, single-mask mode")
    for column in ("data", "images", "mask", *MEASURES):
        shown.add_column(column, justify="left" if column in ("data", "mask") else "right")
    names = {"sam": "SAM", "hq": "HQ token", "both": "SAM + HQ token"}
    for name, (images, means) in rows.items():
        for output, scores in zip(Outputs._fields, means, strict=True):
            first = output == Outputs._fields[0]
            shown.add_row(
                *((name, str(images)) if first else ("", "")),
                names[output],
                *(f"{100 * score:.1f}" for score in scores),
            )
    return shown
