"""Boxes, overlap, label maps and the checks on what callers hand over."""

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.masks import (
    check_first_masks,
    check_image,
    check_masks,
    check_next_image,
    fit_to_frame,
    labels_to_masks,
    mask_boxes,
    mask_iou,
    masks_to_labels,
    repaint,
)
from tests.helpers import on_tensors

IMAGE = np.zeros((6, 8, 3), np.uint8)


def stack(*rows_and_columns, shape=(6, 8)):
    masks = np.zeros((len(rows_and_columns), *shape), bool)
    for mask, part in zip(masks, rows_and_columns, strict=True):
        if part is not None:
            mask[part] = True
    return masks


@pytest.mark.parametrize(
    ("part", "box"),
    [
        (np.s_[2:4, 3:7], [3, 2, 6, 3]),
        (np.s_[0, 0], [0, 0, 0, 0]),
        (np.s_[5, 7], [7, 5, 7, 5]),
        (np.s_[:, :], [0, 0, 7, 5]),
        (None, [np.nan] * 4),
    ],
)
@pytest.mark.parametrize("boxes_of", [mask_boxes, on_tensors.mask_boxes])
def test_box_is_inclusive_and_nan_when_empty(part, box, boxes_of):
    boxes = boxes_of(stack(part))
    assert boxes.dtype == np.float64
    np.testing.assert_array_equal(boxes, [box])


@pytest.mark.parametrize("boxes_of", [mask_boxes, on_tensors.mask_boxes])
def test_box_spans_separate_parts_and_no_objects_have_no_boxes(boxes_of):
    masks = stack(np.s_[1, 1]) | stack(np.s_[4, 6])
    np.testing.assert_array_equal(boxes_of(masks), [[1, 1, 6, 4]])
    assert boxes_of(stack()).shape == (0, 4)


@pytest.mark.parametrize("iou_of", [mask_iou, on_tensors.mask_iou])
def test_iou_pairs_masks_of_the_same_index(iou_of):
    a = stack(np.s_[0:2, 0:2], np.s_[0, 0:4], np.s_[0, 0], None)
    b = stack(np.s_[0:2, 0:2], np.s_[0, 2:6], np.s_[5, 5], None)
    iou = iou_of(a, b)
    assert iou.dtype == np.float32
    np.testing.assert_allclose(iou, [1, 2 / 6, 0, 1], atol=1e-5)
    assert iou[2] > 0


def test_the_later_object_wins_where_masks_overlap():
    labels = masks_to_labels(stack(np.s_[0, 0:4], np.s_[0, 2:6], np.s_[0, 3]))
    assert labels.dtype == np.int32
    assert labels[0].tolist() == [1, 1, 2, 3, 2, 2, 0, 0]


@pytest.mark.parametrize("masks_of", [labels_to_masks, on_tensors.labels_to_masks])
def test_labels_and_masks_are_inverse_beyond_255_objects(masks_of):
    labels = np.arange(300, dtype=np.int32).reshape(15, 20)
    masks = masks_of(labels, 299)
    assert masks.shape == (299, 15, 20)
    np.testing.assert_array_equal(masks_to_labels(masks), labels)


@pytest.mark.parametrize("masks_of", [labels_to_masks, on_tensors.labels_to_masks])
def test_labels_above_the_count_are_left_out_and_missing_ones_are_empty(masks_of):
    masks = masks_of(np.array([[0, 1, 3]], np.uint8), 2)
    assert masks.tolist() == [[[False, True, False]], [[False, False, False]]]
    assert masks_of(np.array([[0, 1, 3]], np.uint8), 300).sum() == 2


@pytest.mark.parametrize("size", [(4, 5), (2, 3), (4, 3), (2, 7), (3, 4)])
def test_fit_to_frame_keeps_the_top_left(size):
    mask = np.full((3, 4), 255, np.uint8)
    fitted = fit_to_frame(mask, *size)
    assert fitted.shape == size
    assert fitted.dtype == bool
    assert fitted[:3, :4].all()
    assert fitted.sum() == min(size[0], 3) * min(size[1], 4)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ([[0]], "list"),
        (np.zeros((4, 5), np.uint8), r"\(4, 5\)"),
        (np.zeros((4, 5, 4), np.uint8), r"\(4, 5, 4\)"),
        (np.zeros((4, 5, 3), np.float32), "float32"),
        (np.zeros((0, 5, 3), np.uint8), "no pixels"),
    ],
)
def test_an_image_that_is_none_is_refused(image, message):
    with pytest.raises(InputError, match=message):
        check_image(image)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (None, "NoneType"),
        (np.ones((6, 8), bool), r"\(6, 8\)"),
        (np.ones((1, 6, 8), np.uint8), "uint8"),
        (np.ones((1, 8, 6), bool), "6x8 and the image is 8x6"),
        (np.ones((0, 8, 6), bool), "6x8 and the image is 8x6"),
    ],
)
def test_what_is_no_stack_of_masks_is_refused(masks, message):
    for check in (check_masks, check_first_masks):
        with pytest.raises(InputError, match=message):
            check(masks, IMAGE)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (np.ones((0, 6, 8), bool), "at least one mask"),
        (stack(np.s_[0, 0], None, np.s_[1, 1], None), "of object 1, 3"),
    ],
)
def test_masks_that_cannot_start_a_video_are_refused(masks, message):
    with pytest.raises(InputError, match=message):
        check_first_masks(masks, IMAGE)


def test_an_image_of_another_size_than_the_first_is_refused():
    with pytest.raises(InputError, match="8x6 but the video started with 9x6"):
        check_next_image(IMAGE, (6, 9))


def test_good_input_passes():
    check_image(IMAGE)
    check_next_image(IMAGE, (6, 8))
    check_first_masks(stack(np.s_[0, 0:4], np.s_[0, 2:6]), IMAGE)
    check_masks(stack(None), IMAGE)
    check_masks(np.ones((0, 6, 8), bool), IMAGE)


@pytest.mark.parametrize(
    ("objects", "new", "expected"),
    [
        pytest.param([0], [[0, 1, 1, 0]], [0, 1, 1, 3], id="wins, and leaves its old pixels"),
        pytest.param([2], [[0, 0, 0, 0]], [1, 2, 2, 0], id="empty"),
        pytest.param([0, 2], [[1, 1, 0, 0], [0, 1, 0, 0]], [1, 3, 2, 0], id="the later wins"),
        pytest.param([2, 0], [[0, 1, 0, 0], [1, 1, 0, 0]], [1, 1, 2, 0], id="in their order"),
    ],
)
def test_repaint(objects, new, expected):
    labels = np.array([[1, 2, 2, 3]], np.int32)
    painted = repaint(labels, np.array(new, bool)[:, None], objects)
    assert painted.tolist() == [expected]
    assert painted.dtype == np.int32
    assert labels.tolist() == [[1, 2, 2, 3]]
