"""The choice between refined and coarse masks, as tables of cases on a strip of pixels."""

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.selection import (
    choose_masks,
    select_masks,
    separate_masks,
)
from tests.helpers import on_tensors
from tests.helpers.published import published_overlap_labels

both = pytest.mark.parametrize("select", [select_masks, on_tensors.select_masks])
"""The functions on arrays and on tensors."""


def strip(*texts):
    """Masks [N,1,W] from texts such as '..##'."""
    return np.array([[[pixel == "#" for pixel in text]] for text in texts], bool)


def text(masks):
    return ["".join("#" if pixel else "." for pixel in mask[0]) for mask in masks]


@both
@pytest.mark.parametrize(
    ("coarse", "candidates", "scores", "mask", "refined"),
    [
        pytest.param("####......", [".####....."], [0.9], ".####.....", True, id="better"),
        pytest.param("####......", ["......####"], [0.9], "####......", False, id="elsewhere"),
        pytest.param("##########", ["#........."], [0.9], "#.........", True, id="exactly 0.1"),
        pytest.param("####......", [".........."], [0.9], "####......", False, id="empty"),
        pytest.param("..........", ["####......"], [0.9], "..........", False, id="absent"),
        pytest.param("..........", [".........."], [0.9], "..........", False, id="both empty"),
        pytest.param(
            "####......", ["###.......", "##........"], [0.3, 0.8], "##........", True, id="score"
        ),
        pytest.param(
            "####......", ["###.......", "##........"], [0.8, 0.8], "###.......", True, id="tie"
        ),
        pytest.param(
            "####......", ["......####", "####......"], [0.8, 0.3], "####......", False, id="gate"
        ),
        pytest.param("####......", ["###......."], [-3.0], "###.......", True, id="negative"),
    ],
)
def test_one_object(select, coarse, candidates, scores, mask, refined):
    selection = select(strip(coarse), strip(*candidates)[None], np.array([scores], np.float32))
    assert text(selection.masks) == [mask]
    assert selection.refined.tolist() == [refined]
    assert selection.iou.dtype == np.float32


@both
def test_iou_is_that_of_the_best_candidate(select):
    selection = select(
        strip("####...."),
        strip("......##", "##......")[None],
        np.array([[0.2, 0.7]], np.float32),
    )
    np.testing.assert_allclose(selection.iou, [0.5], rtol=1e-6)


@both
def test_the_gate_is_a_parameter(select):
    arguments = strip("####...."), strip("##......")[None], np.ones((1, 1), np.float32)
    assert select(*arguments, min_iou=0.5).refined.tolist() == [True]
    assert select(*arguments, min_iou=0.51).refined.tolist() == [False]


@pytest.mark.parametrize(
    ("masks", "separate"),
    [
        (["####..", "..####"], ["####..", "....##"]),
        (["..####", "####.."], ["..####", "##...."]),
        (["......", "######", "######"], ["......", "######", "......"]),
        ([], []),
    ],
)
@pytest.mark.parametrize("function", [separate_masks, on_tensors.separate_masks])
def test_overlap_goes_to_the_lowest_index(masks, separate, function):
    stack = strip(*masks) if masks else np.zeros((0, 1, 6), bool)
    assert text(function(stack)) == separate
    assert text(stack) == masks


@both
@pytest.mark.parametrize("function", [separate_masks, on_tensors.separate_masks])
@pytest.mark.parametrize(
    ("confidence", "separate"),
    [
        ([0.9, 0.5], ["####..", "....##"]),
        ([0.5, 0.9], ["##....", "..####"]),
        ([0.5, 0.5], ["####..", "....##"]),
    ],
)
def test_overlap_may_go_to_the_most_confident(confidence, separate, function, select):
    stack = strip("####..", "..####")
    sure = np.array(confidence, np.float32)
    assert text(function(stack, sure)) == separate
    selection = select(stack, stack[:, None], np.ones((2, 1), np.float32), confidence=sure)
    assert text(selection.masks) == separate


@both
def test_the_nearest_candidate_may_win_over_the_best_scored(select):
    coarse, candidates = strip("###..."), strip("#####.", "####..")[None]
    scores = np.array([[0.9, 0.2]], np.float32)
    assert text(select(coarse, candidates, scores).masks) == ["#####."]
    nearest = select(coarse, candidates, scores, 0.7, nearest=True)
    assert text(nearest.masks) == ["####.."]
    np.testing.assert_allclose(nearest.iou, [0.75])
    assert text(select(coarse, candidates, scores, 0.8, nearest=True).masks) == ["###..."]


@both
def test_select_masks_does_not_touch_its_arguments(select):
    coarse, candidates = strip("##....", "..##.."), strip("###...", ".###..")[:, None]
    selection = select(coarse, candidates, np.ones((2, 1), np.float32))
    assert text(selection.masks) == ["###...", "...#.."]
    assert text(coarse) == ["##....", "..##.."]
    assert text(candidates[:, 0]) == ["###...", ".###.."]


@both
def test_no_objects_give_no_masks(select):
    selection = select(
        np.zeros((0, 2, 3), bool), np.zeros((0, 1, 2, 3), bool), np.zeros((0, 1), np.float32)
    )
    assert selection.masks.shape == (0, 2, 3)
    assert len(selection.refined) == len(selection.iou) == 0


@pytest.mark.parametrize(
    ("candidates", "scores"),
    [((1, 1, 1, 4), (2, 1)), ((2, 1, 1, 5), (2, 1)), ((2, 1, 4), (2, 1)), ((2, 2, 1, 4), (2, 1))],
)
def test_arrays_that_disagree_are_refused(candidates, scores):
    with pytest.raises(InputError, match="disagree"):
        select_masks(strip("####", "####"), np.ones(candidates, bool), np.ones(scores, np.float32))


def test_an_object_without_candidates_is_refused():
    with pytest.raises(InputError, match="at least one candidate"):
        select_masks(strip("####"), np.ones((1, 0, 1, 4), bool), np.ones((1, 0), np.float32))


def test_published_overlap_is_wrong_once_a_lower_label_is_missing():
    coarse, refined = strip("##....", "......", "...##."), strip("###...", "......", "..####")
    chosen = choose_masks(coarse, refined[:, None], np.ones((3, 1), np.float32)).masks
    assert published_overlap_labels(coarse, chosen).tolist() == [[1, 1, 1, 3, 3, 3]]
    coarse[0], chosen[0] = False, False
    coarse[1, 0, 2], chosen[1, 0, 1:3] = True, True
    assert published_overlap_labels(coarse, chosen).tolist() == [[0, 2, 1, 3, 3, 3]]
