from typing import Any

import pytest
import torch
from torch import Tensor

from hqsam import HQSam, ImageEmbedding, sam
from hqsam.sam import resize_longest_side, resize_on_device
from tests.helpers.tiny_hqsam import tiny_hqsam


@pytest.fixture(scope="module")
def model() -> HQSam:
    return tiny_hqsam()


@pytest.fixture(scope="module")
def image() -> Tensor:
    return torch.randint(256, (60, 90, 3), generator=torch.manual_seed(0)).to(torch.uint8)


@pytest.fixture(scope="module")
def embedding(model: HQSam, image: Tensor) -> ImageEmbedding:
    return model.embed(image)


@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((60, 90), (683, 1024)),
        ((90, 60), (1024, 683)),
        ((8, 4000), (2, 1024)),
        ((4000, 1), (1024, 1)),
        ((1, 1), (1024, 1024)),
    ],
)
def test_resize_longest_side(size: tuple[int, int], resized: tuple[int, int]) -> None:
    image = torch.full((*size, 3), 7, dtype=torch.uint8)
    result = resize_longest_side(image)
    assert result.shape == (*resized, 3)
    assert (result == 7).all()


@pytest.mark.parametrize("size", [(108, 192), (3000, 40), (1024, 683), (1, 1)])
def test_resizing_without_pillow_is_off_by_one_grey_level_at_most(size: tuple[int, int]) -> None:
    image = torch.randint(256, (*size, 3), dtype=torch.uint8)
    expected, actual = resize_longest_side(image).int(), resize_on_device(image).int()
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 1


def test_constants_are_copied_to_a_device_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And serve inference and training."""
    sam._mean_and_deviation.cache_clear()
    made: list[object] = []
    tensor = torch.tensor
    monkeypatch.setattr(torch, "tensor", lambda *a, **k: made.append(a) or tensor(*a, **k))
    with torch.inference_mode():
        expected = sam.normalise(torch.full((3, 2, 2), 7.0))
    pixels = torch.full((3, 2, 2), 7.0, requires_grad=True)
    actual = sam.normalise(pixels)
    actual.sum().backward()
    assert torch.equal(actual, expected)
    assert len(made) == 2


def test_embedding_remembers_the_sizes(embedding: ImageEmbedding) -> None:
    assert embedding.image_size == (60, 90)
    assert embedding.input_size == (683, 1024)
    assert embedding.hq_features.shape == (1, 32, 256, 256)


@pytest.mark.parametrize(
    "image",
    [
        torch.zeros(60, 90, 3),
        torch.zeros(60, 90, dtype=torch.uint8),
        torch.zeros(60, 90, 4, dtype=torch.uint8),
        torch.zeros(0, 90, 3, dtype=torch.uint8),
        torch.zeros(60, 0, 3, dtype=torch.uint8),
    ],
    ids=["float", "grey", "alpha", "no rows", "no columns"],
)
def test_unusable_image(model: HQSam, image: Tensor) -> None:
    with pytest.raises(ValueError, match=r"needs an image \[H,W,3\] of type uint8"):
        model.embed(image)


BOXES = torch.tensor([[10.0, 5.0, 40.0, 30.0], [50.0, 20.0, 50.0, 20.0]])


@pytest.mark.parametrize(
    "prompts",
    [
        {"boxes": BOXES},
        {"points": BOXES.view(2, 2, 2), "labels": torch.tensor([[1, 0], [1, -1]])},
        {"points": BOXES[:, None, :2], "labels": torch.ones(2, 1), "boxes": BOXES},
        {"masks": torch.linspace(-9, 9, 2 * 256**2).view(2, 1, 256, 256)},
        {"boxes": BOXES, "masks": torch.linspace(-9, 9, 2 * 256**2).view(2, 1, 256, 256)},
    ],
    ids=["boxes", "points", "points and boxes", "masks", "boxes and masks"],
)
def test_a_batch_equals_its_prompts_one_by_one(
    model: HQSam, embedding: ImageEmbedding, prompts: dict[str, Tensor]
) -> None:
    logits, scores = model.predict(embedding, **prompts)
    assert logits.shape == (2, 1, 256, 256)
    assert scores.shape == (2, 1)
    assert (logits[0] - logits[1]).abs().max() > 1e-3
    for n in range(2):
        alone = model.predict(embedding, **{k: v[n : n + 1] for k, v in prompts.items()})
        torch.testing.assert_close(logits[n : n + 1], alone.logits, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(scores[n : n + 1], alone.scores, atol=1e-4, rtol=1e-4)


def test_modes_differ_as_described(model: HQSam, embedding: ImageEmbedding) -> None:
    results = {
        (multimask, hq): model.predict(
            embedding, boxes=BOXES, multimask=multimask, hq_token_only=hq
        )
        for multimask in (False, True)
        for hq in (False, True)
    }
    torch.testing.assert_close(results[False, True].logits, results[True, True].logits)
    torch.testing.assert_close(results[True, False].scores, results[True, True].scores)
    assert not torch.allclose(results[False, False].logits, results[True, False].logits)
    assert not torch.allclose(results[True, False].logits, results[True, True].logits)


def test_to_image_cuts_the_padding_off(model: HQSam, embedding: ImageEmbedding) -> None:
    logits = torch.full((1, 1, 256, 256), -1.0)
    logits[:, :, :100] = 1.0  # 400 of the 683 rows that show the image
    resized = model.to_image(logits, embedding)
    assert resized.shape == (1, 1, 60, 90)
    assert (resized[0, 0] > 0).sum(0).tolist() == [35] * 90


def test_nothing_needs_a_gradient(model: HQSam, embedding: ImageEmbedding) -> None:
    prediction = model.predict(embedding, boxes=BOXES)
    assert prediction.logits.is_inference()
    assert embedding.features.is_inference()


def test_lower_precision_keeps_the_place(model: HQSam, image: Tensor) -> None:
    lower = tiny_hqsam().to(torch.bfloat16)
    embedding = lower.embed(image)
    logits = lower.to_image(lower.predict(embedding, boxes=BOXES).logits, embedding)
    exact = model.to_image(model.predict(model.embed(image), boxes=BOXES).logits, embedding)
    assert logits.dtype == torch.float32
    assert torch.corrcoef(torch.stack([logits.flatten(), exact.flatten()]))[0, 1] > 0.99


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ({}, "needs a prompt"),
        ({"points": torch.zeros(1, 1, 2)}, "one label per point"),
        ({"points": torch.zeros(1, 2, 2), "labels": torch.ones(1, 1)}, "one label per point"),
        ({"labels": torch.ones(1, 1), "boxes": BOXES[:1]}, "one label per point"),
        ({"boxes": torch.zeros(4)}, r"boxes are \[B,4\]"),
        ({"masks": torch.zeros(1, 256, 256)}, r"logits \[B,1,256,256\]"),
        ({"boxes": BOXES, "masks": torch.zeros(1, 1, 256, 256)}, "for \\[2, 1\\] prompts"),
        ({"boxes": torch.tensor([[95.0, 5.0, 99.0, 9.0]])}, "is not in the image of 90 x 60"),
        ({"boxes": torch.tensor([[0.0, -9.0, 9.0, -2.0]])}, "is not in the image"),
        ({"boxes": torch.tensor([[9.0, 9.0, 3.0, 12.0]])}, "left <= right"),
        ({"boxes": torch.tensor([[float("nan")] * 4])}, "is not in the image"),
    ],
)
def test_unusable_prompts(
    model: HQSam, embedding: ImageEmbedding, prompts: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        model.predict(embedding, **prompts)


def test_box_partly_outside_is_used(model: HQSam, embedding: ImageEmbedding) -> None:
    inside = model.predict(embedding, boxes=torch.tensor([[0.0, 0.0, 89.0, 59.0]]))
    outside = model.predict(embedding, boxes=torch.tensor([[-20.0, -9.0, 99.0, 70.0]]))
    assert not torch.allclose(inside.logits, outside.logits)
