"""HQ-SAM light: prompts as tokens and as drawings, windows as images of their own."""

import pytest
import torch

from hqsam import build_hqsam
from hqsam.light import CORNERS, draw_points
from hqsam.sizes import LIGHT

SIDE = LIGHT.image
FINE = SIDE // 4


@pytest.fixture(scope="module")
def model():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_hqsam("light")


@pytest.fixture(scope="module")
def views():
    return torch.randint(256, (2, SIDE, SIDE, 3), generator=torch.manual_seed(1)).to(torch.uint8)


def test_it_is_small(model):
    assert sum(tensor.numel() * 4 for tensor in model.state_dict().values()) < 24 * 2**20


def test_weights_of_the_light_network_are_recognised(model):
    with pytest.raises(ValueError, match="HQ-SAM light, not vit_tiny: use build_hqsam"):
        build_hqsam("vit_tiny", model.state_dict())
    key = "mask_decoder.compress_vit_feat.0.weight"
    with pytest.raises(ValueError, match="HQ-SAM vit_b, not light"):
        build_hqsam("light", {key: torch.zeros(768, 256, 2, 2)})
    again = build_hqsam("light", {key: value.half() for key, value in model.state_dict().items()})
    assert {tensor.dtype for tensor in again.state_dict().values()} == {torch.float32}


def test_views_of_a_batch_are_those_of_one(model, views):
    """Also a view that is an image of the size of the network input."""
    together = model.embed_views(views)
    assert together.features.shape == (2, 192, SIDE // 16, SIDE // 16)
    assert together.hq_features.shape == together.skip.shape == (2, 24, FINE, FINE)
    alone = model.embed(views[1])
    for one, other in zip(alone[:2], together[:2], strict=True):
        torch.testing.assert_close(one[0], other[1], atol=1e-4, rtol=1e-4)
    boxes = torch.tensor([[20.0, 30, 200, 220], [100, 10, 300, 160]])
    found = model.predict_all(together, boxes=boxes)
    assert found.sam.shape == (2, 4, FINE, FINE)
    single = model.predict_all(alone, boxes=boxes[1:])
    for one, other in zip(single, found, strict=True):
        torch.testing.assert_close(one[0], other[1], atol=1e-4, rtol=1e-4)
    repeated = model.predict_all(together.take(torch.tensor([1, 1])), boxes=boxes[[1, 1]])
    torch.testing.assert_close(repeated.sam[0], single.sam[0], atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="1 prompts for 2 images"):
        model.predict_all(together, boxes=boxes[:1])


def test_predict_chooses_among_all_masks(model, views):
    embedding = model.embed_views(views[:1])
    prompts = {"points": torch.tensor([[[40.0, 50]]]), "labels": torch.ones(1, 1)}
    every = model.predict_all(embedding, **prompts)
    best = every.scores[0, 1:].argmax() + 1
    found = model.predict(embedding, **prompts)
    torch.testing.assert_close(found.logits[0], every.sam[:, best] + every.hq[0])
    assert found.scores == every.scores[0, best]


@pytest.mark.parametrize("kind", ["points", "boxes", "masks"])
def test_every_kind_of_prompt_changes_the_masks(model, views, kind):
    embedding = model.embed_views(views[:1])
    given = {
        "points": {"points": torch.tensor([[[40.0, 50]]]), "labels": torch.ones(1, 1)},
        "boxes": {"boxes": torch.tensor([[20.0, 30, 200, 220]])},
        "masks": {"masks": torch.linspace(-9, 9, FINE**2).view(1, 1, FINE, FINE)},
    }[kind]
    moved = {
        "points": {"points": torch.tensor([[[240.0, 50]]]), "labels": torch.ones(1, 1)},
        "boxes": {"boxes": torch.tensor([[60.0, 30, 200, 220]])},
        "masks": {"masks": torch.linspace(9, -9, FINE**2).view(1, 1, FINE, FINE)},
    }[kind]
    one, other = (model.predict_all(embedding, **each).sam for each in (given, moved))
    assert (one - other).abs().max() > 1e-4


def test_points_that_are_none_are_not_drawn():
    points = torch.tensor([[[41.5, 81.5], [121.5, 161.5], [9.5, 9.5]]])
    box, on, beside = draw_points(points, torch.tensor([[1, 0, -1]]), 80)[0]
    assert not box.any()
    assert (on.argmax() % 80, on.argmax() // 80) == (10, 20)
    assert (beside.argmax() % 80, beside.argmax() // 80) == (30, 40)
    assert on.max() == beside.max() == pytest.approx(1)
    assert on[2, 2] < 1e-3


def test_a_box_is_drawn_where_it_is():
    points = torch.tensor([[[39.5, 79.5], [79.5, 159.5], [200.0, 200.0]]])
    box, on, _ = draw_points(points, torch.tensor([[*CORNERS, 1]]), 80)[0]
    assert box.sum() == pytest.approx(10 * 20)
    assert (box[20:40, 10:20] == 1).all()
    assert on.max() > 0.9
