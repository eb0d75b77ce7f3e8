"""Losses on cases that can be worked out by hand."""

import math

import pytest
import torch

from training.vmos.losses import (
    bootstrapped_cross_entropy,
    known_frames,
    mean_jaccard,
    soft_jaccard,
    transport_loss,
)


def logits_of(probabilities):
    """[h,w,C] probabilities -> logits [1,C,h,w]."""
    return torch.tensor(probabilities).log().permute(2, 0, 1)[None]


FOUR = logits_of([[[0.5, 0.5], [0.25, 0.75]], [[0.9, 0.1], [0.2, 0.8]]])
LABELS = torch.tensor([[[0, 1], [0, 0]]])
LOSSES = [-math.log(p) for p in (0.5, 0.75, 0.9, 0.2)]


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (1.0, sum(LOSSES) / 4),
        (0.5, (LOSSES[3] + LOSSES[0]) / 2),
        (0.25, LOSSES[3]),
        (0.01, LOSSES[3]),
    ],
)
def test_cross_entropy_of_the_hardest_pixels(share, expected):
    loss = bootstrapped_cross_entropy(FOUR, LABELS, share)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_the_hardest_pixels_are_chosen_per_frame():
    easy = logits_of([[[0.99, 0.01], [0.99, 0.01]]])
    hard = logits_of([[[0.1, 0.9], [0.2, 0.8]]])
    labels = torch.zeros(2, 1, 2, dtype=torch.long)
    loss = bootstrapped_cross_entropy(torch.cat([easy, hard]), labels, 0.5)
    assert loss.item() == pytest.approx((-math.log(0.99) - math.log(0.1)) / 2, rel=1e-5)


def test_soft_jaccard_of_one_object():
    labels = torch.tensor([[[1, 1], [0, 0]]])
    inside, union = 0.5 + 0.75, 2 + 0.1 + 0.8
    loss = soft_jaccard(FOUR, labels)
    assert loss.item() == pytest.approx(1 - inside / union, rel=1e-5)


def test_soft_jaccard_counts_objects_that_are_there():
    certain = torch.full((2, 3, 2, 2), -50.0)
    certain[:, 0] = 50.0
    labels = torch.tensor([[[1, 1], [2, 2]], [[0, 0], [1, 1]]])
    assert soft_jaccard(certain, labels).item() == pytest.approx(1.0)
    certain[0, 1, 0] = certain[0, 2, 1] = 100.0
    assert soft_jaccard(certain, labels).item() == pytest.approx(1 / 2)


def test_soft_jaccard_without_an_object_is_zero_and_has_a_gradient():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = soft_jaccard(logits, torch.zeros(1, 4, 4, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(logits.grad).all()


def test_transport_loss_is_a_cross_entropy_per_token():
    carried = torch.tensor([[[0.5, 0.5], [0.2, 0.8]]])
    truth = torch.tensor([[[1.0, 0.0], [0.25, 0.75]]])
    expected = (-math.log(0.5) - 0.25 * math.log(0.2) - 0.75 * math.log(0.8)) / 2
    assert transport_loss(carried, truth).item() == pytest.approx(expected, rel=1e-5)


def test_transport_loss_stays_finite_where_nothing_is_carried():
    carried = torch.zeros(1, 1, 2, requires_grad=True)
    loss = transport_loss(carried, torch.tensor([[[1.0, 0.0]]]))
    loss.backward()
    assert loss.item() == pytest.approx(-math.log(1e-4), rel=1e-5)
    assert torch.isfinite(carried.grad).all()


@pytest.mark.parametrize(
    ("predicted", "truth", "expected"),
    [
        ([[1, 1, 0, 0]], [[1, 1, 0, 0]], 1.0),
        ([[1, 1, 1, 0]], [[1, 1, 0, 0]], 2 / 3),
        ([[2, 2, 0, 0]], [[1, 1, 0, 0]], 0.0),
        ([[1, 1, 2, 0]], [[1, 1, 2, 2]], (1 + 1 / 2) / 2),
        ([[3, 3, 3, 3]], [[0, 0, 0, 0]], 1.0),
    ],
)
def test_mean_jaccard(predicted, truth, expected):
    labels, wanted = torch.tensor([predicted]), torch.tensor([truth])
    assert mean_jaccard(labels, wanted, objects=3).item() == pytest.approx(expected)


def test_mean_jaccard_is_a_mean_over_frames_of_means_over_objects():
    truth = torch.tensor([[[1, 2, 0, 0]], [[3, 3, 0, 0]]])
    predicted = torch.tensor([[[1, 0, 0, 0]], [[0, 0, 0, 0]]])
    assert mean_jaccard(predicted, truth, objects=3).item() == pytest.approx((1 / 2 + 0) / 2)


VOIDED = torch.tensor([[[0, 1], [255, 0]]])
"""`LABELS`, of which nothing is known where the model is surest."""


def test_void_pixels_do_not_count():
    known = [LOSSES[index] for index in (0, 1, 3)]
    loss = bootstrapped_cross_entropy(FOUR, VOIDED, 1.0)
    assert loss.item() == pytest.approx(sum(known) / 3, rel=1e-5)
    hardest = bootstrapped_cross_entropy(FOUR, VOIDED, 0.34)
    assert hardest.item() == pytest.approx(LOSSES[3], rel=1e-5)
    inside, union = 0.75, 1 + 0.5 + 0.8
    assert soft_jaccard(FOUR, VOIDED).item() == pytest.approx(1 - inside / union, rel=1e-5)


def test_predictions_on_void_pixels_do_not_count():
    predicted = torch.tensor([[[1, 1], [1, 0]]])
    assert mean_jaccard(predicted, LABELS, 2).item() == pytest.approx(1 / 3)
    assert mean_jaccard(predicted, VOIDED, 2).item() == pytest.approx(1 / 2)


def test_frames_without_labels_are_left_out_of_means():
    nothing = torch.full_like(LABELS, 255)
    logits, labels = torch.cat([FOUR, FOUR]), torch.cat([LABELS, nothing])
    assert known_frames(labels).tolist() == [1, 0]
    for loss in (lambda *maps: bootstrapped_cross_entropy(*maps, 0.5), soft_jaccard):
        assert loss(logits, labels).item() == pytest.approx(loss(FOUR, LABELS).item())
        assert loss(FOUR, nothing).item() == 0
    predicted = torch.tensor([[[1, 1], [1, 0]]])
    both = torch.cat([predicted, predicted])
    assert mean_jaccard(both, labels, 2).item() == pytest.approx(1 / 3)


def test_void_gives_no_gradient():
    logits = FOUR.clone().requires_grad_()
    (bootstrapped_cross_entropy(logits, VOIDED, 1.0) + soft_jaccard(logits, VOIDED)).backward()
    assert not logits.grad[0, :, 1, 0].any()
    assert logits.grad[0, :, 0, 0].any()
