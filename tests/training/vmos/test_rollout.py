"""What a step of a training learns from."""

import pytest
import torch

from tests.helpers.tiny_clips import raw, rolled
from tests.helpers.tiny_vmos import TINY, tiny_vmos
from training.data.sources import VOID
from training.vmos.augment import augment
from training.vmos.rollout import LossConfig, roll_out
from training.vmos.start import initialise
from vmos import build_vmos


def test_every_weight_learns():
    model = initialise(build_vmos(TINY))
    rolled(model, LossConfig()).total.backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_truth_or_prediction_enters_memory():
    """With four frames the third and fourth depend on what was remembered of the second."""
    model = tiny_vmos()
    losses = [rolled(model, LossConfig(truth=truth), frames=4).total for truth in (1.0, 0.0)]
    assert losses[0] != losses[1]


def test_the_transport_loss_is_an_addend():
    model = tiny_vmos()
    alone = rolled(model, LossConfig(transport=0.0))
    assert set(alone.parts) == {"segmentation", "J"}
    assert torch.equal(alone.total, alone.parts["segmentation"])
    both = rolled(model, LossConfig(transport=0.5))
    expected = both.parts["segmentation"] + 0.5 * both.parts["transport"]
    assert torch.allclose(both.total, expected)
    assert torch.equal(both.parts["segmentation"], alone.parts["segmentation"])
    assert both.parts["transport"] > 0


@pytest.mark.parametrize(
    ("config", "frames_read"),
    [
        (LossConfig(), [1, 2, 3, 4]),
        (LossConfig(memory_gap=2), [1, 1, 2, 2]),
        (LossConfig(reference_only=1.0), [1, 1, 1, 1]),
    ],
)
def test_which_frames_long_term_memory_holds(monkeypatch, config, frames_read):
    model = tiny_vmos()
    propagate, read = model.propagate, []

    def noted(features, long_term, short_term):
        read.append(long_term[0].key.shape[1] // short_term[0].key.shape[1])
        return propagate(features, long_term, short_term)

    monkeypatch.setattr(model, "propagate", noted)
    rolled(model, config, frames=5)
    assert read == frames_read


def test_checkpointing_changes_no_gradient():
    gradients = []
    for checkpointing in (False, True):
        model = tiny_vmos()
        rolled(model, LossConfig(), frames=4, checkpointing=checkpointing).total.backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-5)


def test_frames_without_labels_add_nothing():
    """The loss of a clip is the mean over those of its frames that have labels."""
    model, clip = tiny_vmos().train(), augment(raw(3))
    config = LossConfig(truth=0.0, transport=0.0)

    def loss(*without):
        labels = clip.labels.clone()
        labels[:, list(without)] = VOID
        generator = torch.Generator().manual_seed(0)
        return roll_out(model, clip._replace(labels=labels), config, generator).losses.total

    assert loss(1) != loss(2)
    torch.testing.assert_close(loss(), (loss(1) + loss(2)) / 2)
    assert loss(1, 2) == 0
