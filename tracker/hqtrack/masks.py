"""Boxes, overlap and label maps, as pure functions on stacks of object masks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hqtrack.errors import InputError
from hqtrack.types import Boxes, Image, LabelMap, Masks, Scores

MAX_PIXELS = 89_478_485
"""An image or mask may have so many; Pillow warns of larger ones, too (9459 x 9459)."""

IOU_EPSILON = np.float32(1e-6)
"""Added to intersection and union of two masks, see ``mask_iou``."""


def mask_boxes(masks: Masks) -> Boxes:
    """The tightest box around each mask: left, top, right, bottom, as inclusive pixel indices.

    Returns [N,4]; a row of NaN for an empty mask.
    """
    boxes = np.full((len(masks), 4), np.nan)
    if masks.size == 0:
        return boxes
    columns = np.logical_or.reduce(masks, axis=1)
    rows = np.logical_or.reduce(masks, axis=2)
    filled = np.logical_or.reduce(rows, axis=1)
    edges = (
        columns.argmax(axis=1),
        rows.argmax(axis=1),
        columns.shape[1] - 1 - columns[:, ::-1].argmax(axis=1),
        rows.shape[1] - 1 - rows[:, ::-1].argmax(axis=1),
    )
    boxes[filled] = np.stack(edges, axis=1)[filled]
    return boxes


def mask_iou(a: Masks, b: Masks) -> Scores:
    """Intersection over union of mask n of one stack and mask n of the other, in float32.

    As in the published selection rule, 1e-6 is added to both intersection and union, so two empty
    masks have IoU 1. Both stacks are [N,H,W]; returns [N] in (0, 1].
    """
    shared = np.array([np.count_nonzero(x & y) for x, y in zip(a, b, strict=True)], np.int64)
    areas = np.array([np.count_nonzero(x) + np.count_nonzero(y) for x, y in zip(a, b, strict=True)])
    intersection, union = shared.astype(np.float32), (areas - shared).astype(np.float32)
    iou: Scores = (intersection + IOU_EPSILON) / (union + IOU_EPSILON)
    return iou


def masks_to_labels(masks: Masks) -> LabelMap:
    """Paint the objects in order into one map [H,W]; where masks overlap, the later object wins."""
    labels = np.zeros(masks.shape[1:], np.int32)
    for index, mask in enumerate(masks):
        np.copyto(labels, index + 1, where=mask)
    return labels


def labels_to_masks(labels: NDArray[np.integer], count: int) -> Masks:
    """The masks of objects 0 to ``count`` - 1; higher labels are ignored.

    Returns [``count``,H,W]; the mask of a missing label is empty.
    """
    return label_masks(labels, range(1, count + 1))


def label_masks(labels: NDArray[np.integer], numbers: Sequence[int]) -> Masks:
    """The mask of each of these labels, in this order: [len(numbers),H,W]."""
    masks = np.empty((len(numbers), *labels.shape), np.bool_)
    for mask, number in zip(masks, numbers, strict=True):
        np.equal(labels, number, out=mask)
    return masks


def repaint(
    labels: NDArray[np.integer], masks: Masks, objects: Sequence[int]
) -> NDArray[np.integer]:
    """The label map [H,W] with new masks [M,H,W] for these M objects, counted from 0.

    The old pixels of these objects become background. The new masks win over other objects, and
    the later of two new masks over the earlier.
    """
    painted = np.where(np.isin(labels, [index + 1 for index in objects]), 0, labels)
    for mask, index in zip(masks, objects, strict=True):
        painted[mask] = index + 1
    return painted


def fit_to_frame(
    mask: NDArray[np.bool_] | NDArray[np.integer], height: int, width: int
) -> NDArray[np.bool_]:
    """Pad or crop a mask that starts at the top-left pixel of the frame to the frame's size.

    Background is added on the right and below; what exceeds the frame is cut off. Takes [H',W'],
    bool or integer (values above 0 are the object), returns [``height``,``width``].
    """
    fitted = np.zeros((height, width), np.bool_)
    part = mask[:height, :width]
    fitted[: part.shape[0], : part.shape[1]] = part > 0
    return fitted


def check_image(image: Image) -> None:
    """Raise InputError unless this is an 8-bit RGB image with at least one pixel."""
    if not isinstance(image, np.ndarray):
        raise InputError(f"the image is a {type(image).__name__}; give a numpy array [H,W,3] uint8")
    if image.ndim != 3 or image.shape[2] != 3:
        raise InputError(
            f"the image has shape {image.shape}; give RGB [H,W,3] (hqtrack.video.read_image does)"
        )
    if image.dtype != np.uint8:
        raise InputError(f"the image has type {image.dtype}; give uint8 values from 0 to 255")
    if image.size == 0:
        raise InputError(f"the image has shape {image.shape}: it has no pixels")


def check_next_image(image: Image, size: tuple[int, ...], name: str = "the image") -> None:
    """Raise InputError unless this is an image of the given ``size``, (height, width).

    ``name`` is the image's name in the message.
    """
    check_image(image)
    if image.shape[:2] != tuple(size):
        raise InputError(
            f"{name} is {_size(image.shape[:2])} but the video started with {_size(size)}; "
            "all images of a video have one size: resize this one, or start a new video"
        )


def check_same_image(image: Image, last: Image | None) -> None:
    """Raise InputError unless masks are given on the image that was seen ``last``."""
    if last is None or not np.array_equal(image, last):
        raise InputError(
            "new objects and corrections belong to the frame seen last, and this is another image: "
            "propagate (or track) the image first, then give its masks"
        )


def check_masks(masks: Masks, image: Image) -> None:
    """Raise InputError unless these are masks [N,H,W] bool of the size of the image.

    N may be 0, and masks may be empty.
    """
    if not isinstance(masks, np.ndarray):
        raise InputError(f"the masks are a {type(masks).__name__}; give a numpy array [N,H,W] bool")
    if masks.ndim != 3:
        raise InputError(
            f"the masks have shape {masks.shape}; give [N,H,W], also for one object (mask[None])"
        )
    if masks.dtype != np.bool_:
        raise InputError(
            f"the masks have type {masks.dtype}; give bool, for example masks > 0 "
            "(a label map becomes masks with hqtrack.masks.labels_to_masks)"
        )
    if masks.shape[1:] != image.shape[:2]:
        raise InputError(
            f"the masks are {_size(masks.shape[1:])} and the image is {_size(image.shape[:2])}; "
            "give masks of the size of the image (hqtrack.masks.fit_to_frame pads or cuts)"
        )


def check_first_masks(masks: Masks, image: Image) -> None:
    """Raise InputError unless these are the masks of one or more objects of this image.

    Every object needs at least one pixel of its own mask; overlaps are allowed.
    """
    check_masks(masks, image)
    if len(masks) == 0:
        raise InputError("there are no objects: give at least one mask")
    empty = np.flatnonzero(~np.logical_or.reduce(masks, axis=(1, 2)))
    if len(empty):
        raise InputError(
            f"empty first mask of object {', '.join(map(str, empty))} (counted from 0): "
            "give each object at least one pixel, or omit it"
        )


def check_corrections(masks: Masks, objects: Sequence[int], image: Image, count: int) -> None:
    """Raise InputError unless these are masks [M,H,W] of M different ones of ``count`` objects.

    The objects are counted from 0. A mask may be empty, M may not be 0.
    """
    check_masks(masks, image)
    if len(masks) == 0 or len(masks) != len(objects):
        raise InputError(
            f"there are {len(masks)} masks for {len(objects)} objects to correct: give at least "
            "one object, and one mask for each"
        )
    unknown = [index for index in objects if not 0 <= index < count]
    if unknown:
        raise InputError(
            f"there is no object {unknown[0]} to correct: the video has {count}, counted from 0"
        )
    if len(set(objects)) < len(objects):
        raise InputError(f"an object is corrected twice in {list(objects)}: give it one mask")


def _size(shape: tuple[int, ...]) -> str:
    """WIDTHxHEIGHT."""
    return f"{shape[1]}x{shape[0]}"
