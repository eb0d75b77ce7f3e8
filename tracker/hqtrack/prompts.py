"""Boxes and clicks of users, checked against a frame."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hqtrack.errors import InputError
from hqtrack.looking import Prompts
from hqtrack.types import Masks


def check_prompts(
    boxes: ArrayLike | None,
    points: ArrayLike | None,
    labels: ArrayLike | None,
    height: int,
    width: int,
) -> Prompts:
    """The prompts as arrays, see `hqtrack.refiner.MaskRefiner.segment`.

    Raises InputError if they do not fit each other or a frame of this size, or if an object has
    neither a box nor a click.
    """
    if boxes is None and points is None:
        raise InputError(
            "there is no prompt: give boxes [N,4], or points [N,P,2] with labels [N,P]"
        )
    if (points is None) != (labels is None):
        raise InputError("points [N,P,2] and labels [N,P] go together: give a label for each point")
    corners = None if boxes is None else _check_boxes(_numbers(boxes, "boxes"), height, width)
    clicks = signs = None
    if points is not None and labels is not None:
        clicks, signs = _check_points(
            _numbers(points, "points"), _numbers(labels, "labels"), height, width
        )
        if corners is not None and len(corners) != len(clicks):
            raise InputError(
                f"{len(corners)} boxes and points of {len(clicks)} objects: give both for each"
            )
        if corners is None and len(blank := np.flatnonzero((signs < 0).all(axis=1))):
            raise InputError(f"object {blank[0]} has no point: give at least one with label 1 or 0")
    return Prompts(boxes=corners, points=clicks, labels=signs)


def obeying(masks: Masks, points: NDArray[np.float64], labels: NDArray[np.int64]) -> Masks:
    """The masks [K,H,W] of an object without the parts that clicks [P,2] rule out.

    A connected part without a click of label 1 is not the object's if it has a click of label 0, or
    surrounds one.
    """
    kept = masks.copy()
    height, width = masks.shape[1:]
    clicks = points.round().astype(int).clip(0, (width - 1, height - 1))
    if not (labels == 0).any():
        return kept
    for mask in kept:
        _, parts = cv2.connectedComponents(mask.view(np.uint8))
        right = parts[tuple(clicks[labels == 1, ::-1].T)]
        wrong = [
            parts[outline[0, 0, 1], outline[0, 0, 0]]
            for outline in _outlines(mask)
            if any(_surrounds(outline, click) for click in clicks[labels == 0])
        ]
        mask &= ~np.isin(parts, np.setdiff1d(wrong, right))
    return kept


def _outlines(mask: NDArray[np.bool_]) -> list[NDArray[np.int32]]:
    """The outer border of each connected part of a mask [H,W], pixels [P,1,2] (x, y)."""
    found, links = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if links is None:
        return []
    return [
        np.asarray(outline, np.int32)
        for outline, (*_, outer) in zip(found, links[0], strict=True)
        if outer < 0
    ]


def _surrounds(outline: NDArray[np.int32], click: NDArray[np.int64]) -> bool:
    """Whether a click (x, y) is within an outline, or on it."""
    return cv2.pointPolygonTest(outline, (float(click[0]), float(click[1])), False) >= 0


def _numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        found = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} are numbers of the same count for each object: {error}") from None
    if not np.isfinite(found).all():
        raise InputError(f"{name} have values that are not finite: leave those objects out")
    return found


def _check_boxes(boxes: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    if not boxes.size:
        return np.empty((0, 4))
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(f"boxes are [N,4] left, top, right, bottom, not {list(boxes.shape)}")
    left, top, right, bottom = boxes.T
    wrong = (left > right) | (top > bottom)
    outside = (right < 0) | (bottom < 0) | (left > width - 1) | (top > height - 1)
    for which, what in (
        (wrong, "ends before it begins: give left, top, right, bottom"),
        (outside, f"is outside the image, which is {width}x{height} pixels"),
    ):
        if which.any():
            number = int(which.argmax())
            raise InputError(f"box {boxes[number].tolist()} of object {number} {what}")
    return boxes


def _check_points(
    points: NDArray[np.float64], labels: NDArray[np.float64], height: int, width: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    if not points.size and not len(labels):
        return np.empty((0, 1, 2)), np.empty((0, 1), np.int64)
    if points.ndim != 3 or points.shape[2] != 2 or points.shape[:2] != labels.shape:
        raise InputError(
            f"points are [N,P,2] (x, y) and labels [N,P], not {list(points.shape)} and "
            f"{list(labels.shape)}"
        )
    if not np.isin(labels, (-1, 0, 1)).all():
        raise InputError("labels are 1 in the object, 0 outside, -1 where there is no point")
    outside = (points < -0.5) | (points > np.array((width, height)) - 0.5)
    outside = outside.any(axis=2) & (labels >= 0)
    if outside.any():
        number, place = np.argwhere(outside)[0]
        raise InputError(
            f"point {points[number, place].tolist()} of object {number} is outside the image, "
            f"which is {width}x{height} pixels"
        )
    return points, labels.astype(np.int64)
