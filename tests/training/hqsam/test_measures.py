"""mIoU and boundary IoU of SAM and HQ-SAM, on cases that can be counted by hand."""

import numpy as np
import pytest
import torch

from hqtrack.errors import InputError
from tests.helpers.tiny_hqsam import tiny_hqsam
from training.hqsam.measures import boundary_iou, measure_image, predict, table


def square(top, left, side, frame=50):
    mask = np.zeros((frame, frame), bool)
    mask[top : top + side, left : left + side] = True
    return mask


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (square(10, 10, 10), square(10, 10, 10), 1.0),
        # rims of 36 pixels each; they share 9 at the top and 9 at the bottom
        (square(10, 10, 10), square(10, 11, 10), 18 / (72 - 18)),
        # the rim of the inner square lies within the outer one and touches no rim of it
        (square(10, 10, 12), square(12, 12, 8), 0.0),
        # sides of the frame are boundaries
        (square(0, 0, 50), square(0, 0, 50), 1.0),
        (square(0, 0, 50), np.zeros((50, 50), bool), 0.0),
        (np.zeros((50, 50), bool), np.zeros((50, 50), bool), 1.0),
    ],
    ids=["same", "moved by one", "shrunk by two", "frame", "missed", "none"],
)
def test_boundary_iou_with_a_rim_of_one_pixel(a, b, expected):
    assert boundary_iou(a[None], b[None], 0.02)[0] == pytest.approx(expected)


def test_the_rim_grows_with_the_diagonal():
    """A diagonal of 141 pixels: rims three pixels wide."""
    outer, inner = square(40, 40, 20, 100), square(41, 41, 18, 100)
    shared = 18**2 - 14**2
    assert boundary_iou(outer[None], inner[None])[0] == pytest.approx(
        shared / (20**2 - 14**2 + 18**2 - 12**2 - shared)
    )


def test_boundary_iou_of_other_shapes():
    with pytest.raises(InputError, match="cannot be compared"):
        boundary_iou(np.zeros((1, 4, 4), bool), np.zeros((1, 4, 5), bool))


@pytest.fixture(scope="module")
def sam():
    return tiny_hqsam()


def test_masks_are_those_that_the_refiner_gets(sam):
    """The HQ token alone and its sum with SAM's mask, from the same box, in the image's pixels."""
    image = torch.randint(256, (60, 90, 3), generator=torch.manual_seed(0)).to(torch.uint8)
    boxes = np.array([[10.0, 5.0, 40.0, 30.0], [2.0, 20.0, 80.0, 50.0]])
    found = predict(sam, image.numpy(), boxes)
    embedding = sam.embed(image)
    for alone, row in ((True, 1), (False, 2)):
        logits, _ = sam.predict(
            embedding, boxes=torch.tensor(boxes), multimask=False, hq_token_only=alone
        )
        wanted = sam.to_image(logits, embedding)[:, 0] > 0
        assert (np.stack([masks[row] for masks in found]) == wanted.numpy()).mean() > 0.999


def test_scores_of_an_image(sam):
    image = np.zeros((40, 60, 3), np.uint8)
    truth = np.zeros((2, 40, 60), bool)
    truth[0, 5:20, 5:20] = truth[1, 22:36, 30:50] = True
    masks = predict(sam, image, np.array([[5.0, 5, 19, 19], [30, 22, 49, 35]]))
    scores = measure_image(sam, image, truth)
    assert scores.shape == (2, 3, 2)
    for n in range(2):
        for k, mask in enumerate(masks[n]):
            iou = (mask & truth[n]).sum() / (mask | truth[n]).sum()
            assert scores[n, k, 0] == pytest.approx(iou, abs=1e-6)
            assert scores[n, k, 1] == boundary_iou(mask[None], truth[n : n + 1])[0]


def test_one_table_for_sam_and_hq_sam():
    shown = table({"COIFT": (280, np.array([[0.9, 0.8], [0.95, 0.9], [0.5, 0.25]]))})
    columns = [list(column.cells) for column in shown.columns]
    assert columns[2] == ["SAM", "HQ token", "SAM + HQ token"]
    assert columns[3:] == [["90.0", "95.0", "50.0"], ["80.0", "90.0", "25.0"]]
