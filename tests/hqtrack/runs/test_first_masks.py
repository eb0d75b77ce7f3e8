"""First masks from files, by HQ-SAM and by GrabCut."""

import cv2
import numpy as np
import pytest
import torch

from hqtrack.errors import InputError
from hqtrack.masks import mask_boxes, mask_iou
from hqtrack.runs import first_masks as module
from hqtrack.runs.first_masks import GrabCut, HQSamMasks, best_variant, first_masks, prompted_masks
from hqtrack.runs.targets import Box, MaskFile, Points, Target, read_label_file
from hqtrack.video import write_labels
from tests.helpers.tiny_hqsam import tiny_hqsam

HEIGHT, WIDTH = 60, 80
DISC = np.hypot(*np.mgrid[-30:30, -35:45]) < 15


@pytest.fixture
def image():
    """A green disc on a grey ground, both noisy."""
    noise = np.random.default_rng(0).normal(0, 8, (HEIGHT, WIDTH, 3))
    ground = np.where(DISC[:, :, None], (40, 160, 60), (120, 120, 120))
    return np.clip(ground + noise, 0, 255).astype(np.uint8)


def box_of(mask, margin=0):
    left, top, right, bottom = mask_boxes(mask[None])[0]
    return Box(left - margin, top - margin, right + margin, bottom + margin)


def target(prompt, name="ball"):
    return Target(name, 1, None, prompt)


def test_grabcut_finds_what_is_in_the_box(image):
    [mask] = GrabCut().masks(image, [box_of(DISC, 3)])
    assert mask_iou(mask[None], DISC[None])[0] > 0.9
    assert not mask[: int(box_of(DISC, 3).top)].any()


def test_grabcut_gives_the_same_again_and_works_on_large_frames(image):
    large = cv2.resize(image, None, fx=10, fy=10, interpolation=cv2.INTER_NEAREST)
    box = Box(*(10 * edge for edge in box_of(DISC, 3)))
    one, two = (GrabCut().masks(large, [box])[0] for _ in range(2))
    np.testing.assert_array_equal(one, two)
    truth = cv2.resize(DISC.astype(np.uint8), None, fx=10, fy=10) > 0
    assert mask_iou(one[None], truth[None])[0] > 0.9


@pytest.mark.parametrize(
    "box",
    [
        Box(0, 0, WIDTH - 1, HEIGHT - 1),
        Box(-9, -9, 200, 200),
        Box(3, 3, 3, 3),
        Box(-5, 20, 1, 30),
        Box(60, 2, 70, 9),
    ],
)
def test_grabcut_never_leaves_the_box_and_never_finds_nothing(image, box):
    [mask] = GrabCut().masks(image, [box])
    inside = np.zeros_like(mask)
    left, top, right, bottom = (int(max(edge, 0)) for edge in box)
    inside[top : bottom + 1, left : right + 1] = True
    assert mask.any()
    assert not mask[~inside].any()


def test_hqsam_is_asked_with_boxes_and_points(image):
    model = tiny_hqsam()
    prompts = [Box(20, 15, 50, 45), Points(((35, 30),)), Points(((35, 30), (30, 25)))]
    masks = prompted_masks(model, image, prompts)
    assert masks.shape == (3, HEIGHT, WIDTH)
    assert masks.dtype == np.bool_
    assert model.image_encoder.calls == 1
    embedding = model.embed(torch.tensor(image))
    box = model.predict(embedding, boxes=torch.tensor([[20.0, 15, 50, 45]]))
    points = model.predict(
        embedding, points=torch.tensor([[[35.0, 30], [30, 25]]]), labels=torch.ones(1, 2)
    )
    for mask, prediction in ((masks[0], box), (masks[2], points)):
        expected = model.to_image(prediction.logits, embedding)[0, 0] > 0
        np.testing.assert_array_equal(mask, expected)
    assert (masks[1] != masks[2]).any()


def test_hqsam_is_loaded_once_from_the_folder_given(image, tmp_path, monkeypatch):
    built = []

    def build_hqsam(variant, state):
        built.append((variant, state))
        return tiny_hqsam()

    monkeypatch.setattr("hqsam.build_hqsam", build_hqsam)
    monkeypatch.setattr(module.weights, "load", lambda path: path)
    (tmp_path / "sam_hq_vit_b.pth").write_bytes(b"weights")
    assert best_variant(tmp_path) == "vit_b"
    (tmp_path / "sam_hq_vit_l.pth").write_bytes(b"weights")
    assert best_variant(tmp_path) == "vit_l"
    prompted = HQSamMasks("vit_b", tmp_path, "cpu")
    assert prompted.name == "HQ-SAM vit_b"
    assert built == []
    for _ in range(2):
        prompted.masks(image, [Box(1, 1, 9, 9)])
    assert built == [("vit_b", tmp_path / "sam_hq_vit_b.pth")]


def test_no_hqsam(tmp_path):
    assert best_variant(tmp_path) is None


def test_files_and_prompts_in_the_order_of_their_objects(image, tmp_path):
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    labels[2:5, 2:9], labels[50:55, 60:70] = 7, 300
    write_labels(tmp_path / "m.png", labels)
    files = [MaskFile(read_label_file(tmp_path / "m.png"), label) for label in (300, 7)]
    targets = [target(files[0]), target(box_of(DISC, 3)), target(files[1])]
    masks = first_masks(image, targets, GrabCut())
    np.testing.assert_array_equal(masks[0], labels == 300)
    assert mask_iou(masks[1:2], DISC[None])[0] > 0.9
    np.testing.assert_array_equal(masks[2], labels == 7)


def test_a_mask_of_the_wrong_size(image, tmp_path):
    write_labels(tmp_path / "m.png", np.ones((WIDTH, HEIGHT), np.int32))
    with pytest.raises(InputError, match=r"m\.png is 60x80 and the image is 80x60: draw the mask"):
        first_masks(image, [target(MaskFile(read_label_file(tmp_path / "m.png"), 1))], GrabCut())


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (Box(80, 5, 90, 9), "box:80,5,11,5"),
        (Box(-20, 5, -1, 9), "box:-20,5,20,5"),
        (Box(5, 60, 9, 61), "box:5,60,5,2"),
        (Points(((5, 5), (80, 5))), "point:5,5,80,5"),
        (Points(((5, -1),)), "point:5,-1"),
    ],
)
def test_a_box_or_point_outside_the_frame(image, prompt, text):
    with pytest.raises(InputError, match=f"object ball: {text} is outside .* 80x60 pixels"):
        first_masks(image, [target(prompt)], GrabCut())


def test_points_without_hqsam_name_the_download(image):
    with pytest.raises(InputError, match="hqtrack weights download hqsam_vit_b"):
        first_masks(image, [target(Points(((5, 5),)))], GrabCut())


def test_a_prompt_that_yields_nothing(image):
    class Blind:
        name = "HQ-SAM vit_b"

        def masks(self, image, prompts):
            return np.zeros((len(prompts), *image.shape[:2]), np.bool_)

    with pytest.raises(InputError, match=r"object ball \(point:5,5\): HQ-SAM vit_b finds nothing"):
        first_masks(image, [target(Points(((5, 5),)))], Blind())
