"""GrabCut as a measure of comparison."""

import cv2
import numpy as np
import pytest

from hqtrack.masks import mask_boxes, mask_iou
from training.hqsam.grabcut import grabcut

HEIGHT, WIDTH = 60, 80
DISC = np.hypot(*np.mgrid[-30:30, -35:45]) < 15


@pytest.fixture
def image():
    """A green disc on a grey ground, both noisy."""
    noise = np.random.default_rng(0).normal(0, 8, (HEIGHT, WIDTH, 3))
    ground = np.where(DISC[:, :, None], (40, 160, 60), (120, 120, 120))
    return np.clip(ground + noise, 0, 255).astype(np.uint8)


def test_it_finds_what_is_in_the_box_also_in_large_frames(image):
    box = mask_boxes(DISC[None])[0] + (-3, -3, 3, 3)
    mask = grabcut(image, box)
    assert mask_iou(mask[None], DISC[None])[0] > 0.9
    assert not mask[: int(box[1])].any()
    large = cv2.resize(image, None, fx=10, fy=10, interpolation=cv2.INTER_NEAREST)
    truth = cv2.resize(DISC.astype(np.uint8), None, fx=10, fy=10) > 0
    assert mask_iou(grabcut(large, 10 * box)[None], truth[None])[0] > 0.9


@pytest.mark.parametrize(
    "box",
    [(0, 0, WIDTH - 1, HEIGHT - 1), (-9, -9, 200, 200), (3, 3, 3, 3), (-5, 20, 1, 30)],
)
def test_it_never_leaves_the_box_and_never_finds_nothing(image, box):
    mask = grabcut(image, np.array(box, np.float64))
    inside = np.zeros_like(mask)
    left, top, right, bottom = (max(edge, 0) for edge in box)
    inside[top : bottom + 1, left : right + 1] = True
    assert mask.any()
    assert not mask[~inside].any()
