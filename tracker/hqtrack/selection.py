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


def nearest_candidates(candidates: Masks, coarse: Masks) -> Masks:
    """The candidate of each object with the highest IoU with its coarse mask, the first of equals.

    Takes [N,K,H,W] and [N,H,W], returns [N,H,W].
    """
    if candidates.shape[1] == 1:
        return candidates[:, 0]
    iou = np.stack([mask_iou(each, coarse) for each in candidates.swapaxes(0, 1)], axis=1)
    return best_candidates(candidates, iou)


def choose_masks(
    coarse: Masks,
    candidates: Masks,
    scores: Scores,
    min_iou: float = 0.1,
    nearest: bool = False,
) -> Selection:
    """The selection, object by object; the selected masks may overlap.

    As published, the candidate with the highest predicted score (the first of equals) replaces the
    coarse mask if its IoU with the coarse mask, in float32, is at least ``min_iou``. If
    ``nearest``, it is the candidate with the highest IoU. An empty coarse mask stays empty, because
    the object is absent. HQTrack, Mask Refiner.

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
    if nearest:
        best = nearest_candidates(candidates, coarse)
    else:
        best = best_candidates(candidates, scores)
    iou = mask_iou(best, coarse)
    refined = (iou >= np.float32(min_iou)) & coarse.any(axis=(1, 2))
    masks = coarse.copy()
    for index in np.flatnonzero(refined):
        masks[index] = best[index]
    return Selection(masks, refined, iou)


def separate_masks(masks: Masks, confidence: Scores | None = None) -> Masks:
    """The masks [N,H,W] without overlap.

    A pixel goes to the lowest object index that covers it; with ``confidence`` [N] to the most
    confident object that does, the lowest index of equals.
    """
    separate = masks.copy()
    _separate(separate, confidence)
    return separate


def _separate(masks: Masks, confidence: Scores | None) -> None:
    """`separate_masks` in place."""
    taken = np.zeros(masks.shape[1:], np.bool_)
    ranks = np.zeros(len(masks)) if confidence is None else -confidence
    for index in np.argsort(ranks, kind="stable"):
        np.greater(masks[index], taken, out=masks[index])
        taken |= masks[index]


def select_masks(
    coarse: Masks,
    candidates: Masks,
    scores: Scores,
    min_iou: float = 0.1,
    nearest: bool = False,
    confidence: Scores | None = None,
) -> Selection:
    """The masks to report: ``choose_masks`` followed by ``separate_masks``."""
    chosen = choose_masks(coarse, candidates, scores, min_iou, nearest)
    _separate(chosen.masks, confidence)
    return chosen
