"""A trainer takes steps, is saved and goes on where it was."""

import pytest
import torch

from hqtrack.errors import InputError
from tests.helpers.equal import equal
from tests.helpers.line import Line, Points, make_trainer
from tests.helpers.steps import advance, saved
from training.engine.processes import World
from training.engine.run_folder import read_checkpoint
from training.engine.trainer import (
    Settings,
    make_optimizer,
    parameter_groups,
    polynomial,
)


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 1.0 / 4),
        (2, (1 / 4 + 1) / 2),
        (4, 0.1 + 0.9 * 0.96**0.9),
        (50, 0.1 + 0.9 * 0.5**0.9),
        (100, 0.1),
    ],
)
def test_rate_rises_in_a_line_and_falls_to_the_last(step, rate):
    one, other = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    groups = [{"params": [one]}, {"params": [other], "lr_scale": 0.1}]
    optimizer = torch.optim.AdamW(groups, lr=1.0)
    settings = Settings(steps=100, learning_rate=1.0, last_learning_rate=0.1, warm_up=4)
    polynomial(optimizer, settings).step_update(step)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(rate)
    assert optimizer.param_groups[1]["lr"] == pytest.approx(0.1 * rate)


def test_groups_by_rate_and_weight_decay_without_what_is_frozen():
    task = Line()
    task.model[0].bias.requires_grad_(False)
    groups = parameter_groups(task.model, 0.03, task.learning_rate_scale)
    first, second = task.model
    assert [(group["lr_scale"], group["weight_decay"]) for group in groups] == [
        (1.0, 0.03),
        (0.1, 0.03),
        (0.1, 0.0),
    ]
    learning = [parameter for group in groups for parameter in group["params"]]
    wanted = [first.weight, second.weight, second.bias]
    assert list(map(id, learning)) == list(map(id, wanted))


def test_muon_goes_along_an_orthogonal_matrix_and_goes_on_exactly():
    settings = Settings(steps=1, learning_rate=0.01, optimizer="muon")
    gradients = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))

    def walk(weight, steps, state=None):
        """The weight after these steps, and the state of the optimizer."""
        parameter = torch.nn.Parameter(weight.clone())
        optimizer = make_optimizer(settings, [{"params": [parameter], "weight_decay": 0.0}])
        if state is not None:
            optimizer.load_state_dict(state)
        for gradient in gradients[steps]:
            parameter.grad = gradient.clone()
            optimizer.step()
        return parameter.detach(), optimizer.state_dict()

    first, state = walk(torch.zeros(8, 8), slice(0, 1))
    # of the size that a step of AdamW has
    assert torch.linalg.svdvals(first) == pytest.approx(0.01 * 0.2 * 8**0.5, rel=0.3)
    last, _ = walk(first, slice(1, 3), state)
    assert torch.equal(last, walk(torch.zeros(8, 8), slice(0, 3))[0])


def test_a_checkpoint_of_another_optimizer_is_refused():
    with pytest.raises(InputError, match="has optimizer adamw, this run optimizer muon"):
        make_trainer(optimizer="muon").restore(make_trainer().state())


def test_samples_and_their_chances_do_not_depend_on_the_process():
    one, second = make_trainer(), make_trainer()
    # only pretended: nothing is sent
    second.world = World(torch.device("cpu"), rank=1, size=2)
    assert list(one.numbers())[1] == [4, 5, 6, 7]
    assert list(second.numbers())[1] == [6, 7]
    whole, half = one.generators(4), second.generators(2)
    assert half.step.initial_seed() == whole.step.initial_seed()
    seeds = [each.initial_seed() for each in whole.samples]
    assert [each.initial_seed() for each in half.samples] == seeds[2:]
    assert len({*seeds, whole.step.initial_seed()}) == 5


def test_a_stopped_and_resumed_run_ends_with_the_same_state(tmp_path):
    whole = make_trainer()
    advance(whole, 10)
    stopped = make_trainer()
    advance(stopped, 4)
    run = saved(tmp_path, stopped)
    resumed = make_trainer()
    resumed.restore(read_checkpoint(run.checkpoint))
    assert resumed.step == 4
    advance(resumed, 6)
    assert equal(resumed.state(), whole.state())
    assert not equal(stopped.state()["model"], whole.state()["model"])


def test_another_batch_goes_on_with_the_next_sample(tmp_path):
    stopped = make_trainer()
    advance(stopped, 3)
    resumed = make_trainer(batch=2, weight_decay=0.5)
    resumed.restore(read_checkpoint(saved(tmp_path, stopped).checkpoint))
    numbers = list(resumed.numbers())
    assert numbers[0] == [12, 13]
    assert len(numbers) == 7
    assert resumed.optimizer.param_groups[0]["weight_decay"] == 0.5


def test_a_checkpoint_from_before_the_position_was_kept():
    stopped = make_trainer()
    advance(stopped, 3)
    state = stopped.state()
    old = {key: state[key] for key in ("model", "average", "optimizer", "step")}
    resumed = make_trainer()
    resumed.restore({**old, "schedule": {"batch": 4}})
    assert resumed.samples == 12


def test_a_checkpoint_of_another_configuration_is_refused_and_both_are_named(tmp_path):
    run = saved(tmp_path, make_trainer(width=2))
    state = read_checkpoint(run.checkpoint)
    with pytest.raises(InputError, match=r"has width 2, this run width 1"):
        make_trainer().restore(state)
    del state["configuration"]
    with pytest.raises(InputError, match=r"does not fit .*'width': 1.* size mismatch"):
        make_trainer().restore(state)


def test_a_batch_that_processes_cannot_share():
    with pytest.raises(InputError, match="batch of 3 cannot be shared by 2 processes"):
        make_trainer(World(torch.device("cpu"), 0, 2), batch=3)


def test_a_step_that_is_not_finite_changes_no_weight():
    trainer = make_trainer()
    before = {key: value.clone() for key, value in trainer.task.model.state_dict().items()}
    advance(trainer, 2, Points(bad={1, 5}))
    assert equal(trainer.task.model.state_dict(), before)
    assert (trainer.step, trainer.samples, trainer.skipped) == (2, 8, 2)
    advance(trainer, 1)
    assert trainer.skipped == 0
    assert not equal(trainer.task.model.state_dict(), before)
