"""Training of HQ-SAM light: what learns, and from what."""

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from hqsam import build_hqsam
from hqsam.decoder import AllMasks
from hqsam.sizes import LIGHT
from tests.helpers.hqsam_training import changed
from training.engine.processes import World
from training.engine.trainer import Settings, Trainer
from training.hqsam.interactive import InteractiveTask, edge_weight, mask_losses, structure_loss
from training.hqsam.model import ADDED
from training.hqsam.prompted import POINTS, Prompted

SIDE = LIGHT.image


def sample(number):
    """Noise with a bright disc, its box and a click."""
    generator = torch.Generator().manual_seed(number)
    y, x = np.mgrid[:SIDE, :SIDE]
    disc = torch.from_numpy(np.hypot(x - 120 - 60 * number, y - 170) < 70)
    pixels = torch.randint(100, (3, SIDE, SIDE), generator=generator) + 150 * disc
    left = 50 + 60 * number
    boxes = torch.tensor([[left, 100, left + 140, 240], [float("nan")] * 4])
    points = torch.zeros(2, POINTS, 2)
    points[1, 0] = torch.tensor([120 + 60 * number, 170])
    labels = torch.full((2, POINTS), -1)
    labels[1, 0] = 1
    return Prompted(
        pixels.to(torch.uint8),
        disc.to(torch.uint8) * 255,
        torch.ones(SIDE, SIDE, dtype=torch.bool),
        boxes,
        points,
        labels,
        torch.zeros(2, 1, SIDE // 4, SIDE // 4),
        torch.zeros(2, dtype=torch.bool),
    )


def trainer(**options):
    torch.manual_seed(0)
    task = InteractiveTask(build_hqsam("light"), **options)
    settings = Settings(steps=40, batch=2, learning_rate=2e-3, warm_up=5, workers=0, average=0.0)
    return Trainer(task, settings, World(torch.device("cpu")))


@pytest.fixture(scope="module")
def batch():
    return default_collate([sample(number) for number in range(2)])


@pytest.mark.slow
def test_a_disc_is_learnt(batch):
    training = trainer()
    rows = [training.advance(batch) for _ in range(40)]
    assert rows[-1].total < 0.5 * rows[0].total
    assert rows[-1].parts["J"] > 0.7


@pytest.mark.parametrize("added_only", [False, True])
def test_what_learns(batch, added_only):
    training = trainer(added_only=added_only)
    before = {key: value.clone() for key, value in training.task.model.state_dict().items()}
    training.advance(batch)
    moved = changed(before, training.task.model.state_dict())
    added = tuple(f"mask_decoder.{part}." for part in ADDED)
    if added_only:
        assert moved
        assert all(key.startswith(added) for key in moved)
    else:
        assert any(key.startswith("image_encoder.body.model.blocks.4") for key in moved)
        assert any(key.startswith("prompt_encoder.mask_downscaling") for key in moved)
        frozen = ("conv_stem", "blocks.0", "blocks.1", "blocks.2")
        names = tuple(f"image_encoder.body.model.{name}." for name in frozen)
        assert not any(key.startswith(names) for key in moved)


def test_a_picture_of_the_prompts(batch):
    training = trainer()
    picture = training.task.sample(training.task.model, batch)
    assert picture.shape == (3 * SIDE, 2 * SIDE, 3)
    assert picture.dtype == np.uint8


def test_the_edge_of_an_object_counts_more():
    target = torch.zeros(1, 1, 40, 40)
    target[..., :20] = 1
    weight = edge_weight(target)
    assert weight[0, 0, 20, 20] > 3
    assert weight[0, 0, 20, 0] == weight[0, 0, 20, 39] == 1


def test_unknown_pixels_do_not_count():
    target = torch.zeros(1, 1, 40, 40)
    target[..., :20] = 1
    weight = edge_weight(target)
    weight[..., 30:] = 0
    right = 20 * (target - 0.5)
    wrong = right.clone()
    wrong[..., 30:] = 20
    torch.testing.assert_close(*(structure_loss(x, target, weight) for x in (right, wrong)))
    wrong[..., 25:] = 20
    assert structure_loss(wrong, target, weight) > structure_loss(right, target, weight) + 0.1


def test_the_best_of_three_masks_learns_and_the_scores_are_what_masks_reach():
    target = torch.zeros(1, 1, 80, 80)
    target[..., :40] = 1
    small = torch.zeros(1, 1, 40, 40)
    small[..., :20] = 1
    sam = torch.cat([-9 * torch.ones_like(small), -9 * torch.ones_like(small)] * 2, dim=1)
    sam[:, 2] = 18 * (small[:, 0] - 0.5)
    sam.requires_grad_()
    masks = AllMasks(sam, 18 * (small - 0.5), torch.tensor([[0.0, 0, 1, 0]]))
    weight = torch.ones_like(target)
    of_sam, of_hq, ious = mask_losses(masks, target, weight, torch.tensor([False]))
    assert ious[0].tolist() == [0, 0, 1, 0]
    assert of_hq < 0.1
    of_sam.backward()
    assert sam.grad[:, 0].abs().max() == 0
    clear, _, _ = mask_losses(masks, target, weight, torch.tensor([True]))
    assert clear > of_sam + 1
