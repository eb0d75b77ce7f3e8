from contextlib import nullcontext
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hqsam import HQSam, ImageEmbedding, Prediction, build_hqsam
from hqsam.sizes import LIGHT
from hqtrack import refiner as refiner_module
from hqtrack.build import build_refiner
from hqtrack.errors import InputError
from hqtrack.looking import WindowLook
from hqtrack.masks import mask_boxes, mask_iou
from hqtrack.refiner import MaskRefiner
from hqtrack.types import Image, Masks
from hqtrack.windows import Window
from tests.helpers.tiny_hqsam import TinyEncoder, tiny_hqsam

HEIGHT, WIDTH = 60, 90


class BoxFiller(HQSam):
    """Answers every box with the pixels inside it; the score tells the box's width."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.device_probe = nn.Parameter(torch.zeros(1))
        self.encoded = 0
        self.asked: list[Tensor] = []

    def embed(self, image: Tensor) -> ImageEmbedding:
        self.encoded += 1
        size = (image.shape[0], image.shape[1])
        return ImageEmbedding(torch.zeros(1), torch.zeros(1), size, size)

    def predict(  # type: ignore[override]
        self, embedding: ImageEmbedding, *, boxes: Tensor
    ) -> Prediction:
        self.asked.append(boxes)
        return Prediction(boxes, boxes[:, 2:3] - boxes[:, 0:1])

    def to_image(self, logits: Tensor, embedding: ImageEmbedding) -> Tensor:
        height, width = embedding.image_size
        left, top, right, bottom = logits[:, :, None, None].unbind(1)
        y, x = torch.arange(height)[:, None], torch.arange(width)
        inside = (left <= x) & (x <= right) & (top <= y) & (y <= bottom)
        return inside.float()[:, None] - 0.5


@pytest.fixture
def filler() -> BoxFiller:
    return BoxFiller()


@pytest.fixture(scope="module")
def model() -> HQSam:
    return tiny_hqsam()


@pytest.fixture(scope="module")
def image() -> Image:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def rectangles(count: int, height: int = HEIGHT, width: int = WIDTH) -> Masks:
    """`count` different rectangles of one pixel or more, all within the frame."""
    masks = np.zeros((count, height, width), np.bool_)
    for n, mask in enumerate(masks):
        top, left = (3 * n) % (height - 1), (5 * n) % (width - 1)
        mask[top : top + 1 + n % 7, left : left + 1 + n % 11] = True
    return masks


def test_candidates_follow_their_objects(filler: BoxFiller, image: Image) -> None:
    masks = rectangles(7)
    masks[3] = False
    candidates = MaskRefiner(filler).refine(image, masks)
    assert candidates.masks.dtype == np.bool_
    assert candidates.scores.dtype == np.float32
    np.testing.assert_array_equal(candidates.masks[:, 0], masks)
    widths = np.maximum(masks.any(axis=1).sum(axis=1) - 1, 0)
    np.testing.assert_array_equal(candidates.scores[:, 0], widths)


def test_boxes_are_inclusive_and_without_margin(filler: BoxFiller, image: Image) -> None:
    masks = np.zeros((1, HEIGHT, WIDTH), np.bool_)
    masks[0, 10:21, 30:51] = True
    masks[0, 15, 60] = True
    MaskRefiner(filler).refine(image, masks)
    assert [boxes.tolist() for boxes in filler.asked] == [[[30, 10, 60, 20]]]


def test_one_encoding_and_one_batch_for_ten_objects(filler: BoxFiller, image: Image) -> None:
    MaskRefiner(filler).refine(image, rectangles(10))
    assert filler.encoded == 1
    assert [len(boxes) for boxes in filler.asked] == [10]


def test_two_hundred_objects(filler: BoxFiller, image: Image) -> None:
    masks = rectangles(200)
    candidates = MaskRefiner(filler).refine(image, masks)
    assert filler.encoded == 1
    assert max(len(boxes) for boxes in filler.asked) <= 10
    np.testing.assert_array_equal(candidates.masks[:, 0], masks)


def test_on_a_gpu_many_objects_are_waited_for_once(
    filler: BoxFiller, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = []

    def to_host(*tensors: torch.Tensor) -> list[np.ndarray]:
        waits.append(len(tensors))
        return [tensor.numpy() for tensor in tensors]

    masks = rectangles(25)
    refiner = MaskRefiner(filler)
    monkeypatch.setattr("hqtrack.refiner.to_host", to_host)
    monkeypatch.setattr(MaskRefiner, "_device", torch.device("cuda"))
    monkeypatch.setattr("hqtrack.refiner.precision", lambda device, dtype: nullcontext())
    monkeypatch.setattr(
        MaskRefiner, "_embed", lambda self, image: filler.embed(torch.tensor(image))
    )
    candidates = refiner.refine(image, masks)
    assert waits == [6]
    np.testing.assert_array_equal(candidates.masks[:, 0], masks)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_nothing_to_refine_costs_nothing(filler: BoxFiller, image: Image, count: int) -> None:
    empty = np.zeros((count, HEIGHT, WIDTH), np.bool_)
    candidates = MaskRefiner(filler).refine(image, empty)
    assert filler.encoded == 0
    assert candidates.masks.shape == (count, 1, HEIGHT, WIDTH)
    assert not candidates.masks.any()
    assert candidates.scores.tolist() == [[0.0]] * count


def test_all_objects_at_once_equal_each_alone(model: HQSam, image: Image) -> None:
    refiner = MaskRefiner(model)
    masks = rectangles(3)
    together = refiner.refine(image, masks)
    assert together.masks.any()
    for n in range(3):
        alone = refiner.refine(image, masks[n : n + 1])
        assert np.mean(alone.masks[0] != together.masks[n]) < 1e-3
        np.testing.assert_allclose(alone.scores[0], together.scores[n], atol=1e-4)


def test_published_prediction_mode(model: HQSam, image: Image) -> None:
    """Best of three SAM masks plus the HQ mask, with the raw score."""
    masks = rectangles(1)
    candidates = MaskRefiner(model).refine(image, masks)
    embedding = model.embed(torch.tensor(image))
    box = torch.tensor([[0.0, 0.0, 0.0, 0.0]])
    logits, scores = model.predict(embedding, boxes=box, multimask=True, hq_token_only=False)
    expected = model.to_image(logits, embedding).numpy() > 0
    np.testing.assert_array_equal(candidates.masks, expected)
    np.testing.assert_array_equal(candidates.scores, scores.numpy())


def test_the_encoder_runs_once_per_frame(image: Image) -> None:
    model = tiny_hqsam()
    refiner = MaskRefiner(model)
    for frame in range(1, 3):
        refiner.refine(image, rectangles(2))
        assert isinstance(model.image_encoder, TinyEncoder)
        assert model.image_encoder.calls == frame


def test_no_gradient_is_recorded_and_none_forbidden_afterwards(model: HQSam, image: Image) -> None:
    MaskRefiner(model).refine(image, rectangles(1))
    assert not torch.is_inference_mode_enabled()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_one_pixel_mask(model: HQSam, image: Image) -> None:
    mask = np.zeros((1, HEIGHT, WIDTH), np.bool_)
    mask[0, HEIGHT - 1, WIDTH - 1] = True
    candidates = MaskRefiner(model).refine(image, mask)
    assert candidates.masks.shape == (1, 1, HEIGHT, WIDTH)
    assert np.isfinite(candidates.scores).all()


@pytest.mark.parametrize("size", [(8, 4000), (4000, 8)])
def test_extreme_aspect_ratio(model: HQSam, size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    mask = np.zeros((1, *size), np.bool_)
    mask[0, 2:6, 3:7] = True
    candidates = MaskRefiner(model).refine(image, mask)
    assert candidates.masks.shape == (1, 1, *size)
    assert np.isfinite(candidates.scores).all()


@pytest.mark.parametrize("view", ["mirrored", "read-only"])
def test_any_memory_layout_of_the_image(model: HQSam, image: Image, view: str) -> None:
    mirrored = image[:, ::-1, ::-1]
    given = mirrored if view == "mirrored" else np.ascontiguousarray(mirrored)
    given.flags.writeable = False
    expected = MaskRefiner(model).refine(mirrored.copy(), rectangles(1))
    candidates = MaskRefiner(model).refine(given, rectangles(1))
    np.testing.assert_array_equal(candidates.masks, expected.masks)


@pytest.mark.parametrize(
    ("bad_image", "message"),
    [
        (np.zeros((HEIGHT, WIDTH, 3), np.float32), "float32; give uint8"),
        (np.zeros((HEIGHT, WIDTH), np.uint8), r"\(60, 90\); give RGB"),
        (np.zeros((HEIGHT, WIDTH, 4), np.uint8), r"\(60, 90, 4\)"),
        (np.zeros((0, WIDTH, 3), np.uint8), r"\(0, 90, 3\)"),
    ],
    ids=["float", "grey", "alpha", "no rows"],
)
def test_unusable_image(filler: BoxFiller, bad_image: Image, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MaskRefiner(filler).refine(bad_image, rectangles(1))


@pytest.mark.parametrize(
    ("bad_masks", "message"),
    [
        (rectangles(1).astype(np.uint8), "uint8; give bool"),
        (rectangles(1)[0], r"give \[N,H,W\]"),
        (rectangles(1, height=30), "masks of the size of the image"),
        (np.zeros((0, 30, 30), np.bool_), "masks of the size of the image"),
    ],
    ids=["integers", "one map", "another size", "no objects of another size"],
)
def test_unusable_masks(filler: BoxFiller, image: Image, bad_masks: Masks, message: str) -> None:
    with pytest.raises(InputError, match=message):
        MaskRefiner(filler).refine(image, bad_masks)


@pytest.mark.gpu
def test_gpu_agrees_with_cpu(image: Image) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    masks = rectangles(3)
    expected = MaskRefiner(tiny_hqsam()).refine(image, masks)
    candidates = MaskRefiner(tiny_hqsam().cuda()).refine(image, masks)
    assert np.mean(candidates.masks != expected.masks) < 0.01
    np.testing.assert_allclose(candidates.scores, expected.scores, atol=0.02)


class Light:
    """A refiner with the shipped weights, and a picture of two discs."""

    def __init__(self) -> None:
        self.refiner = build_refiner("light", "cpu")
        y, x = np.mgrid[:120, :200]
        near = np.hypot(x - 60, y - 50) < 30, np.hypot(x - 150, y - 80) < 22
        self.discs = np.array(near)
        noise = np.random.default_rng(0).normal(0, 6, (120, 200, 3))
        ground = np.where(near[0][..., None], (40, 160, 60), (120, 110, 120))
        ground = np.where(near[1][..., None], (200, 60, 40), ground)
        self.image: Image = np.clip(ground + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def light() -> Light:
    return Light()


def test_boxes_and_clicks_find_objects(light: Light) -> None:
    boxes = mask_boxes(light.discs)
    from_boxes = light.refiner.segment(light.image, boxes)
    clicks = np.array([[[60.0, 50], [150, 80]]]).repeat(2, axis=0)
    signs = np.array([[1, 0], [0, 1]])
    from_clicks = light.refiner.segment(light.image, points=clicks, labels=signs)
    for found in (from_boxes, from_clicks):
        assert found.masks.shape == (2, 3, 120, 200)
        assert found.masks.dtype == np.bool_
        assert (np.diff(found.scores, axis=1) <= 0).all()
    assert mask_iou(from_boxes.masks[:, 0], light.discs).min() > 0.95
    assert mask_iou(from_clicks.masks[:, 0], light.discs).min() > 0.5
    assert not from_clicks.masks[0, :, 80, 150].any()
    assert not from_clicks.masks[1, :, 50, 60].any()


def test_left_and_right_do_not_matter(light: Light) -> None:
    """The window is the whole of a square image, at the size of the network's input."""
    side, last = LIGHT.image, LIGHT.image - 1
    image = cv2.resize(light.image[:, :120], (side, side), interpolation=cv2.INTER_NEAREST)
    box = (0.125 * side, 0.1 * side, 0.78 * side, 0.81 * side)
    points, labels = [[[120, 150], [30, 280]]], [[1, 0]]
    other = (last - box[2], box[1], last - box[0], box[3])
    other_points = [[[last - 120, 150], [last - 30, 280]]]
    found = light.refiner.segment(image, [box], points, labels)
    mirrored = light.refiner.segment(image[:, ::-1], [other], other_points, labels)
    np.testing.assert_allclose(mirrored.scores, found.scores, atol=1e-3)
    assert mask_iou(mirrored.masks[0, :, :, ::-1], found.masks[0]).min() > 0.999
    assert found.masks[0, 0].any()


def test_objects_do_not_depend_on_each_other(light: Light) -> None:
    boxes = mask_boxes(light.discs)
    together = light.refiner.segment(light.image, boxes)
    for number in range(2):
        alone = light.refiner.segment(light.image, boxes[number : number + 1])
        assert mask_iou(alone.masks[0], together.masks[number]).min() > 0.98


def test_coarse_masks_become_finer(light: Light) -> None:
    """Blocks of 12 pixels; a large object and an empty mask are left out."""
    blocks = light.discs[:, 6::12, 6::12].repeat(12, axis=1).repeat(12, axis=2)
    coarse = np.concatenate([blocks[:, :120, :200], np.zeros((1, 120, 200), bool)])
    found = light.refiner.refine(light.image, coarse)
    assert found.masks.shape == (3, 1, 120, 200)
    better = mask_iou(found.masks[:2, 0], light.discs) - mask_iou(coarse[:2], light.discs)
    assert better.min() > 0
    assert not found.masks[2].any()
    assert found.scores[2] == 0
    large = np.ones((1, 120, 200), bool)
    assert not light.refiner.refine(light.image, large).masks.any()


def test_masks_of_windows_follow_the_edges_of_the_image(light: Light) -> None:
    """The network's output has 12 x 12 places for a disc of 60 pixels."""
    window, disc = Window(20, 5, 90), light.discs[0]
    blurred = cv2.blur(disc[5:95, 20:110].astype(np.float32), (15, 15))
    logits = 12 * (cv2.resize(blurred, (12, 12), interpolation=cv2.INTER_AREA) - 0.5)
    look = WindowLook(build_hqsam("light"), light.image, [window])
    found = look.masks(torch.from_numpy(logits)[None, None])[0]
    plain = np.zeros_like(found)
    plain[0, 5:95, 20:110] = cv2.resize(logits, (90, 90)) > 0
    assert mask_iou(plain, disc[None])[0] < 0.97
    assert mask_iou(found, disc[None])[0] > 0.99


def test_no_object_and_many_objects(light: Light) -> None:
    assert light.refiner.segment(light.image, []).masks.shape == (0, 3, 120, 200)
    none = np.zeros((0, 120, 200), np.bool_)
    assert light.refiner.refine(light.image, none).masks.shape == (0, 1, 120, 200)
    many = np.repeat(mask_boxes(light.discs), 6, axis=0)
    assert light.refiner.segment(light.image, many).masks.shape == (12, 3, 120, 200)


@pytest.mark.parametrize("size", [(1, 1), (4, 400), (400, 3)])
def test_images_of_any_shape(light: Light, size: tuple[int, int]) -> None:
    image = np.zeros((*size, 3), np.uint8)
    box = [[0, 0, size[1] - 1, size[0] - 1], [-5, -5, 0, 0]]
    assert light.refiner.segment(image, box).masks.shape == (2, 3, *size)
    click = light.refiner.segment(image, points=[[[0, 0]]], labels=[[1]])
    assert click.masks.shape == (1, 3, *size)


def test_released_networks_answer_prompts_on_the_whole_frame(model: HQSam, image: Image) -> None:
    found = MaskRefiner(model).segment(image, [[10, 5, 40, 30], [50, 20, 60, 40]])
    embedding = model.embed(torch.tensor(image))
    every = model.predict_all(embedding, boxes=torch.tensor([[10.0, 5, 40, 30], [50, 20, 60, 40]]))
    order = every.scores[:, 1:].argsort(dim=1, descending=True)
    np.testing.assert_allclose(
        found.scores, every.scores[:, 1:].gather(1, order).numpy(), atol=1e-5
    )
    masks = model.to_image(every.sam[:, 1:] + every.hq, embedding) > 0
    expected = masks.take_along_dim(order[..., None, None], 1).numpy()
    np.testing.assert_array_equal(found.masks, expected)


@pytest.mark.parametrize("kind", ["released", "light"])
def test_an_image_that_cannot_be_written_to_is_encoded_once(
    model: HQSam, light: Light, image: Image, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    refiner = MaskRefiner(model if kind == "released" else light.refiner._model)
    constant, encoded = image.copy(), []
    constant.flags.writeable = False
    for name in ("WholeLook", "WindowLook"):
        look = getattr(refiner_module, name)

        def counted(*given: Any, look: Any = look, **options: Any) -> Any:
            encoded.append(1)
            return look(*given, **options)

        monkeypatch.setattr(refiner_module, name, counted)

    def ask(picture: Image, x: int) -> Masks:
        return refiner.segment(picture, [[10, 5, 40, 30]], [[[x, 9]]], [[1]]).masks

    first, second = ask(constant, 12), ask(constant, 30)
    assert len(encoded) == 1
    np.testing.assert_array_equal(ask(image, 12), first)
    np.testing.assert_array_equal(ask(image, 30), second)
    assert len(encoded) == 3
    constant.flags.writeable = True
    view = constant[:]
    view.flags.writeable = False
    ask(view, 12)
    ask(view, 12)
    assert len(encoded) == 5


def test_a_prompt_that_cannot_be_used(light: Light) -> None:
    with pytest.raises(InputError, match="outside the image, which is 200x120"):
        light.refiner.segment(light.image, [[300, 10, 310, 20]])
