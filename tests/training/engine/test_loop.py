"""The engine with a small task: position, generators, resuming, saving, giving up."""

import json
import multiprocessing
import os
import signal

import cv2
import pytest
import torch

from hqtrack.errors import InputError, MissingFileError
from tests.helpers.equal import equal
from tests.helpers.line import CPU, Line, Points, make_trainer
from training.engine.dry_run import dry_run
from training.engine.loop import loading, train
from training.engine.processes import World
from training.engine.run_folder import RunFolder, read_checkpoint
from training.engine.trainer import (
    MOST_SKIPPED,
    DivergedError,
    Settings,
    make_optimizer,
    parameter_groups,
    polynomial,
)


def advance(trainer, steps, points=None):
    """Take the next steps."""
    with loading(trainer, points or Points()) as batches:
        for _, batch in zip(range(steps), batches, strict=False):
            trainer.advance(batch)


def saved(folder, trainer):
    run = RunFolder(folder)
    run.open(trainer.step)
    run.save(trainer.state())
    run.close()
    return run


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


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path):
    trainer = make_trainer()
    run = saved(tmp_path, trainer)
    advance(trainer, 2)
    (tmp_path / ".checkpoint.pt.part").symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"cannot write .*No space left.*last good checkpoint"):
        run.save(trainer.state())
    assert not (tmp_path / ".checkpoint.pt.part").is_symlink()
    assert read_checkpoint(run.checkpoint)["step"] == 0
    run.save(trainer.state())
    assert read_checkpoint(run.checkpoint)["step"] == 2


def test_what_is_no_checkpoint(tmp_path):
    file = tmp_path / "checkpoint.pt"
    with pytest.raises(MissingFileError):
        read_checkpoint(file)
    file.write_bytes(b"half")
    with pytest.raises(InputError, match="broken or something else"):
        read_checkpoint(file)
    torch.save({"model": {}}, file)
    with pytest.raises(InputError, match="not a checkpoint of a training run"):
        read_checkpoint(file)


def test_a_step_that_is_not_finite_changes_no_weight():
    trainer = make_trainer()
    before = {key: value.clone() for key, value in trainer.task.model.state_dict().items()}
    advance(trainer, 2, Points(bad={1, 5}))
    assert equal(trainer.task.model.state_dict(), before)
    assert (trainer.step, trainer.samples, trainer.skipped) == (2, 8, 2)
    advance(trainer, 1)
    assert trainer.skipped == 0
    assert not equal(trainer.task.model.state_dict(), before)


def test_training_that_stays_infinite_gives_up(tmp_path):
    trainer = make_trainer(steps=100)
    with pytest.raises(DivergedError, match="lower learning rate"):
        train(trainer, Points(bad=range(8, 1000)), RunFolder(tmp_path))
    assert trainer.step == MOST_SKIPPED + 1


def test_train_leaves_log_checkpoint_picture_and_scores(tmp_path):
    trainer = make_trainer(log_every=5, sample_every=5, evaluate_every=10)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    train(trainer, Points(), RunFolder(tmp_path))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [5, 10, 10]
    assert {"loss", "J", "learning_rate", "steps_per_second", "waiting"} <= set(rows[0])
    assert 0 <= rows[0]["waiting"] <= 1
    assert set(rows[2]) == {"step", "held_out"}
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == 10
    assert (cv2.imread(str(tmp_path / "sample.png")) == 4).all()
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_what_a_loading_process_complains_of_ends_all(tmp_path):
    class Broken(Points):
        def __getitem__(self, index):
            raise InputError("x.png is damaged: copy it again")

    before = set(multiprocessing.active_children())
    with pytest.raises(InputError, match=r"x\.png is damaged: copy it again$") as caught:
        train(make_trainer(workers=1), Broken(), RunFolder(tmp_path))
    assert caught.traceback  # keeps the helper alive
    (helper,) = set(multiprocessing.active_children()) - before
    # as Python does when it exits
    helper.terminate()
    helper.join(20)
    assert helper.exitcode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_stops(tmp_path, number):
    trainer = make_trainer(log_every=1)

    class Signalling(Points):
        def __getitem__(self, index):
            if index == 8:
                os.kill(os.getpid(), number)
            return super().__getitem__(index)

    train(trainer, Signalling(), RunFolder(tmp_path))
    assert read_checkpoint(tmp_path / "checkpoint.pt")["step"] == trainer.step == 3


def test_a_resumed_log_has_every_step_once(tmp_path):
    trainer = make_trainer(steps=4, log_every=1, save_every=2)
    train(trainer, Points(), RunFolder(tmp_path))
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 5}\n{"step": 6, "lo')
    resumed = make_trainer(steps=6, log_every=1)
    resumed.restore(read_checkpoint(tmp_path / "checkpoint.pt"))
    train(resumed, Points(), RunFolder(tmp_path))
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]


def test_a_dry_run_counts():
    trainer = make_trainer(steps=1000)
    found = dry_run(trainer, Points(), 3)
    assert trainer.step == 3
    assert found.parameters == found.learning == 5
    assert found.bytes > 2**20
    assert 0 <= found.waiting < 1
    assert found.total == pytest.approx(1000 * found.step)
    assert "5 learn" in str(found)


def test_one_process_is_a_world():
    values = torch.tensor([1.0, 2.0])
    assert torch.equal(CPU.mean(values), torch.tensor([1.0, 2.0]))
    assert CPU.any(True)
    assert not CPU.any(False)
