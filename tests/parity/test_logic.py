"""The pure functions against arrays recorded from the official HQTrack code."""

import numpy as np
import pytest

from hqtrack.masks import (
    fit_to_frame,
    labels_to_masks,
    mask_boxes,
    mask_iou,
    masks_to_labels,
)
from hqtrack.selection import choose_masks, select_masks
from tests.helpers.published import published_overlap_labels

REFINE = [
    "plain",
    "overlap",
    "overlap_lost_label",
    "no_background",
    "gate",
    "gate_edge",
    "empty_refined",
    "candidates",
    "all_background",
    "wrap",
]
WRONG_IN_OVERLAPS = {"overlap_lost_label", "no_background", "wrap"}


@pytest.fixture(scope="module")
def logic(shared):
    with np.load(shared / "parity" / "vmos" / "logic.npz") as arrays:
        yield dict(arrays)


def refine_case(logic, name):
    """Coarse masks, candidates [N,K,H,W] and scores [N,K] for every label up to the highest."""
    label = logic[f"refine_{name}_label"]
    coarse = labels_to_masks(label, int(label.max()))
    present = [index for index, mask in enumerate(coarse) if mask.any()]
    recorded = range(int(logic[f"refine_{name}_n"]))
    count = max([len(logic[f"refine_{name}_scores{k}"]) for k in recorded], default=1)
    candidates = np.zeros((len(coarse), count, *label.shape), bool)
    scores = np.full((len(coarse), count), -np.inf, np.float32)
    for k, index in zip(recorded, present, strict=True):
        masks = logic[f"refine_{name}_masks{k}"]
        candidates[index, : len(masks)] = masks > 0
        scores[index, : len(masks)] = logic[f"refine_{name}_scores{k}"]
    return coarse, candidates, scores


def test_every_recorded_refinement_is_in_the_list(logic):
    assert logic["refine_names"].tolist() == REFINE


def test_boxes(logic):
    masks = logic["box_masks"] > 0
    filled = masks.any(axis=(1, 2))
    boxes = mask_boxes(masks)
    np.testing.assert_array_equal(boxes[filled], logic["box_boxes"][filled])
    assert np.isnan(boxes[~filled]).all()


def test_iou(logic):
    iou = mask_iou(logic["iou_a"] > 0, logic["iou_b"] > 0)
    np.testing.assert_array_equal(iou, logic["iou_value"].astype(np.float32))


@pytest.mark.parametrize("name", REFINE)
def test_boxes_of_the_coarse_masks(logic, name):
    coarse, _, _ = refine_case(logic, name)
    boxes = mask_boxes(coarse)
    present = ~np.isnan(boxes[:, 0])
    np.testing.assert_array_equal(boxes[present], logic[f"refine_{name}_boxes"])


@pytest.mark.parametrize("name", REFINE)
def test_published_selection(logic, name):
    coarse, candidates, scores = refine_case(logic, name)
    chosen = choose_masks(coarse, candidates, scores).masks
    labels = published_overlap_labels(coarse, chosen)
    np.testing.assert_array_equal(labels, logic[f"refine_{name}_result"])


@pytest.mark.parametrize("name", REFINE)
def test_selection_differs_from_the_published_one_only_in_overlaps(logic, name):
    coarse, candidates, scores = refine_case(logic, name)
    chosen = choose_masks(coarse, candidates, scores).masks
    labels = masks_to_labels(select_masks(coarse, candidates, scores).masks)
    published = logic[f"refine_{name}_result"]
    overlap = np.count_nonzero(chosen, axis=0) > 1
    np.testing.assert_array_equal(labels[~overlap], published[~overlap])
    lowest = chosen.argmax(axis=0) + 1 if len(chosen) else np.zeros_like(labels)
    np.testing.assert_array_equal(labels[overlap], lowest[overlap])
    assert np.array_equal(labels, published) == (name not in WRONG_IN_OVERLAPS)


@pytest.mark.parametrize("index", range(4))
def test_full_size(logic, index):
    width, height = logic[f"fullsize{index}_size_wh"].tolist()
    fitted = fit_to_frame(logic[f"fullsize{index}_in"], height, width)
    np.testing.assert_array_equal(fitted, logic[f"fullsize{index}_out"] > 0)


@pytest.mark.parametrize("index", range(2))
def test_first_masks(logic, index):
    masks = logic[f"init{index}_masks"] > 0
    labels = masks_to_labels(masks)
    alone = np.count_nonzero(masks, axis=0) <= 1
    assert alone.all() == (index == 0)
    np.testing.assert_array_equal(labels[alone], logic[f"init{index}_label"][alone])
    report = logic[f"init{index}_report"] > 0
    ours = labels_to_masks(labels, len(masks))
    np.testing.assert_array_equal(ours[:, alone], report[:, alone])
