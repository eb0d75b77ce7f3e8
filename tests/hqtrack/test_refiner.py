import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hqsam import HQSam, ImageEmbedding, Prediction
from hqtrack.errors import InputError
from hqtrack.refiner import MaskRefiner
from hqtrack.types import Image, Masks
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
