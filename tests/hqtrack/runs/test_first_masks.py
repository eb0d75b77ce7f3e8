"""First masks from files and by HQ-SAM."""

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.masks import mask_boxes
from hqtrack.refiner import MaskRefiner
from hqtrack.runs.first_masks import RefinerMasks, best_variant, first_masks, prompted_masks
from hqtrack.runs.targets import Box, MaskFile, Points, Target, read_label_file
from hqtrack.video import write_labels
from tests.helpers.filled_prompts import FilledPrompts
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


def test_prompts_of_both_kinds_get_the_masks_of_the_refiner(image):
    refiner = MaskRefiner(tiny_hqsam())
    both = Points(((35, 30), (30, 25), (5, 5)), frozenset({2}))
    prompts = [Points(((35, 30),)), Box(20, 15, 50, 45), both]
    masks = prompted_masks(refiner, image, prompts)
    assert masks.shape == (3, HEIGHT, WIDTH)
    assert masks.dtype == np.bool_
    box = refiner.segment(image, boxes=[[20, 15, 50, 45]])
    np.testing.assert_array_equal(masks[1], box.masks[0, 0])
    places, none = [[35, 30], [30, 25], [5, 5]], [0, 0]
    clicks = refiner.segment(
        image, points=[[[35, 30], none, none], places], labels=[[1, -1, -1], [1, 1, 0]]
    )
    np.testing.assert_array_equal(masks[[0, 2]], clicks.masks[:, 0])


def test_hqsam_is_loaded_once_from_the_folder_given(image, tmp_path, monkeypatch):
    built = []

    def build_refiner(*given):
        built.append(given)
        return MaskRefiner(tiny_hqsam())

    monkeypatch.setattr("hqtrack.build.build_refiner", build_refiner)
    (tmp_path / "sam_hq_vit_b.pth").write_bytes(b"weights")
    assert best_variant(tmp_path) == "vit_b"
    (tmp_path / "sam_hq_vit_l.pth").write_bytes(b"weights")
    assert best_variant(tmp_path) == "vit_l"
    prompted = RefinerMasks("vit_b", tmp_path, "cpu")
    assert prompted.name == "HQ-SAM vit_b"
    assert prompted.file == tmp_path / "sam_hq_vit_b.pth"
    assert built == []
    for _ in range(2):
        prompted.masks(image, [Box(1, 1, 9, 9)])
    assert built == [("vit_b", "cpu", tmp_path)]


def test_no_hqsam(tmp_path):
    assert best_variant(tmp_path) is None


def test_files_and_prompts_in_the_order_of_their_objects(image, tmp_path):
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    labels[2:5, 2:9], labels[50:55, 60:70] = 7, 300
    write_labels(tmp_path / "m.png", labels)
    files = [MaskFile(read_label_file(tmp_path / "m.png"), label) for label in (300, 7)]
    targets = [target(files[0]), target(Box(30, 20, 49, 39)), target(files[1])]
    masks = first_masks(image, targets, FilledPrompts())
    np.testing.assert_array_equal(masks[0], labels == 300)
    assert masks[1].sum() == masks[1, 20:40, 30:50].sum() == 400
    np.testing.assert_array_equal(masks[2], labels == 7)


def test_a_mask_of_the_wrong_size(image, tmp_path):
    write_labels(tmp_path / "m.png", np.ones((WIDTH, HEIGHT), np.int32))
    with pytest.raises(InputError, match=r"m\.png is 60x80 and the image is 80x60: draw the mask"):
        first_masks(
            image, [target(MaskFile(read_label_file(tmp_path / "m.png"), 1))], FilledPrompts()
        )


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        (Box(80, 5, 90, 9), "box:80,5,11,5"),
        (Box(-20, 5, -1, 9), "box:-20,5,20,5"),
        (Box(5, 60, 9, 61), "box:5,60,5,2"),
        (Points(((5, 5), (80, 5))), "point:5,5,80,5"),
        (Points(((5, 5), (5, -1)), frozenset({0})), "point:-5,5,5,-1"),
    ],
)
def test_a_box_or_point_outside_the_frame(image, prompt, text):
    with pytest.raises(InputError, match=f"object ball: {text} is outside .* 80x60 pixels"):
        first_masks(image, [target(prompt)], FilledPrompts())


def test_a_prompt_that_yields_nothing(image):
    class Blind:
        name = "HQ-SAM vit_b"

        def masks(self, image, prompts):
            return np.zeros((len(prompts), *image.shape[:2]), np.bool_)

    with pytest.raises(InputError, match=r"object ball \(point:5,5\): HQ-SAM vit_b finds nothing"):
        first_masks(image, [target(Points(((5, 5),)))], Blind())
