"""Losses of HQ-SAM at points, on cases that can be worked out by hand."""

import math

import pytest
import torch

from training.hqsam.losses import Candidates, choose_points, mask_loss, random_points, sample


def points(*coordinates):
    return torch.tensor([coordinates])


def test_values_at_points_are_bilinear():
    maps = torch.tensor([[[[0.0, 4.0], [8.0, 12.0]]]])
    values = sample(maps, points((0.25, 0.25), (0.75, 0.25), (0.5, 0.5), (0.5, 0.75)))
    torch.testing.assert_close(values, torch.tensor([[0.0, 4.0, 6.0, 10.0]]))


def test_points_in_doubt_are_chosen_from_the_pool():
    logits = torch.tensor([[[[-9.0, 0.5, 7.0, -1.0, 5.0, 8.0]]]])
    centres = [((n + 0.5) / 6, 0.5) for n in range(6)]
    candidates = Candidates(points(*centres), points((0.1, 0.2)))
    chosen = choose_points(logits, candidates)
    torch.testing.assert_close(chosen, points(centres[1], (0.1, 0.2)))


def test_losses_of_two_points():
    """One object pixel found with probability 0.8, one background pixel with 0.4."""
    logits = torch.tensor([[[[math.log(4), math.log(2 / 3)]]]])
    targets = torch.tensor([[[[1.0, 0.0]]]])
    centres = points((0.25, 0.5), (0.75, 0.5))
    loss = mask_loss(logits, targets, Candidates(centres.repeat(1, 3, 1), centres))
    assert loss.cross_entropy.item() == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)
    assert loss.dice.item() == pytest.approx(1 - (2 * 0.8 + 1) / (1.2 + 1 + 1))


def test_random_points_follow_the_generator():
    first, second = (random_points(torch.Generator().manual_seed(1), 8) for _ in range(2))
    assert first.pool.shape == (24, 2)
    assert first.certain.shape == (2, 2)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
