"""Selects the mask to report for each object: the refined or the coarse one."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hqtrack.errors import InputError
from hqtrack.masks import mask_iou
from hqtrack.types import Masks, Scores


class Selection(NamedTuple):
    """The masks to report and their sources.

    ``masks`` is [N,H,W]. ``refined`` [N] is True for masks from the refiner. ``iou`` [N] is the IoU
    of each object's best candidate and its coarse mask.
    """

    masks: Masks
    refined: NDArray[np.bool_]
    iou: Scores


def best_candidates(candidates: Masks, scores: Scores) -> Masks:
    """The candidate of each object with the highest predicted score, the first of equals.

    Takes [N,K,H,W] and [N,K], returns [N,H,W]; if K is 1, the result shares the memory.
    """
    if candidates.shape[1] == 1:
        return candidates[:, 0]
    return candidates[np.arange(len(candidates)), scores.argmax(axis=1)]


def choose_masks(
    coarse: Masks, candidates: Masks, scores: Scores, min_iou: float = 0.1
) -> Selection:
    """The published selection, object by object; the selected masks may overlap.

    The candidate with the highest predicted score (the first of equals) replaces the coarse mask
    if its IoU with the coarse mask, in float32, is at least ``min_iou``. An empty coarse mask stays
    empty, because the object is absent. HQTrack, Mask Refiner.

    Takes ``coarse`` [N,H,W], ``candidates`` [N,K,H,W] and ``scores`` [N,K] with K of at least 1.
    Raises InputError if the shapes disagree.
    """
    count = len(coarse)
    if candidates.ndim != 4 or (count, *coarse.shape[1:]) != (
        len(candidates),
        *candidates.shape[2:],
    ):
        raise InputError(
            f"coarse masks {coarse.shape} and candidates {candidates.shape} disagree: "
            "give [N,H,W] and [N,K,H,W] of the same objects on the same frame"
        )
    if scores.shape != candidates.shape[:2] or 0 in scores.shape[1:]:
        raise InputError(
            f"scores {scores.shape} and candidates {candidates.shape} disagree: "
            "give one score per candidate and at least one candidate per object"
        )
    best = best_candidates(candidates, scores)
    iou = mask_iou(best, coarse)
    refined = (iou >= np.float32(min_iou)) & coarse.any(axis=(1, 2))
    masks = coarse.copy()
    for index in np.flatnonzero(refined):
        masks[index] = best[index]
    return Selection(masks, refined, iou)


def separate_masks(masks: Masks) -> Masks:
    """The masks without overlap: a pixel goes to the lowest object index that covers it."""
    separate = masks.copy()
    _separate(separate)
    return separate


def _separate(masks: Masks) -> None:
    """`separate_masks` in place."""
    taken = np.zeros(masks.shape[1:], np.bool_)
    for mask in masks:
        np.greater(mask, taken, out=mask)
        taken |= mask


def select_masks(
    coarse: Masks, candidates: Masks, scores: Scores, min_iou: float = 0.1
) -> Selection:
    """The masks to report: ``choose_masks`` followed by ``separate_masks``."""
    chosen = choose_masks(coarse, candidates, scores, min_iou)
    _separate(chosen.masks)
    return chosen


def published_overlap_labels(coarse: Masks, chosen: Masks) -> NDArray[np.uint8]:
    """Overlaps as the published program resolves them; only for reproducing published numbers.

    Where several chosen masks overlap, that program does not write the label of the first of them,
    but its position in a list of labels. The list contains the labels of the coarse label map in
    ascending order, with the background if it occurs. So the result is wrong if a lower label is
    missing or the objects fill the frame. ``coarse`` are masks that do not overlap, ``chosen``
    those of ``choose_masks``, both [N,H,W]. Returns [H,W] with n + 1 for object n, modulo 256.
    """
    has_background = not coarse.any(axis=0).all()
    present = np.flatnonzero(coarse.any(axis=(1, 2)))
    labels = np.zeros(coarse.shape[1:], np.uint8)
    covered = np.zeros(coarse.shape[1:], np.int32)
    first = np.zeros(coarse.shape[1:], np.uint8)
    for position, index in enumerate(present, start=int(has_background)):
        mask = chosen[index]
        first[mask & (covered == 0)] = position % 256
        labels[mask] = (index + 1) % 256
        covered += mask
    return np.where(covered > 1, first, labels)
