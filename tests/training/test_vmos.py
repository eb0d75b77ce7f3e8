"""Training itself: the schedule, stopping and resuming, learning a clip by heart."""

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from hqtrack import synthetic
from hqtrack.preprocess import normalise
from tests.vmos.tiny import TINY
from training.clips import Clip, ClipConfig, Clips
from training.rollout import LossConfig, roll_out
from training.vmos import Schedule, Trainer, batches, initialise, train
from vmos import build_vmos

CPU = torch.device("cpu")


def generated(size=65, frames=3):
    config = ClipConfig(size=size, frames=frames, video=0.0, generated=1.0, objects=TINY.objects)
    return Clips(config, [], None, seed=0, length=100)


def trainer(steps=4, **changes):
    """Always the same weights to start from."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = initialise(build_vmos(TINY))
    schedule = replace(Schedule(steps, batch=2, warm_up=2), **changes)
    return Trainer(model, schedule, LossConfig(), CPU)


def equal(a, b):
    assert list(a) == list(b)
    return all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 1.0 / 4),
        (1, (0.1 + 0.9 * 0.99**0.9) / 2),
        (3, 0.1 + 0.9 * 0.97**0.9),
        (50, 0.1 + 0.9 * 0.5**0.9),
        (100, 0.1),
    ],
)
def test_rate_rises_in_a_line_and_falls_to_the_last(step, rate):
    schedule = Schedule(steps=100, rate=1.0, last_rate=0.1, warm_up=4)
    assert schedule.rate_at(step) == pytest.approx(rate)


def test_a_stopped_and_resumed_run_ends_with_the_same_weights(tmp_path):
    clips = generated(size=49)
    whole = trainer()
    for batch in batches(clips, 2, 0, 4, workers=0):
        whole.advance(batch)
    stopped = trainer()
    for batch in batches(clips, 2, 0, 2, workers=0):
        stopped.advance(batch)
    stopped.save(tmp_path / "checkpoint.pt")
    resumed = trainer()
    resumed.resume(tmp_path / "checkpoint.pt")
    assert resumed.step == 2
    for batch in batches(clips, 2, resumed.step, 4, workers=0):
        resumed.advance(batch)
    assert resumed.step == whole.step == 4
    assert equal(resumed.model.state_dict(), whole.model.state_dict())
    assert equal(resumed.average.module.state_dict(), whole.average.module.state_dict())
    assert not equal(stopped.model.state_dict(), whole.model.state_dict())


def test_batches_of_a_step_do_not_depend_on_where_the_run_started():
    clips = generated()
    all_steps = list(batches(clips, 2, 0, 3, workers=0))
    late = list(batches(clips, 2, 2, 3, workers=0))
    assert len(all_steps) == 3
    assert len(late) == 1
    assert torch.equal(all_steps[2].frames, late[0].frames)
    assert torch.equal(late[0].labels[1], clips[5].labels)


def test_a_checkpoint_is_replaced_at_once_and_read_by_build_vmos(tmp_path):
    path = tmp_path / "checkpoint.pt"
    started = trainer()
    started.save(path)
    started.advance(next(batches(generated(), 2, 0, 1, workers=0)))
    started.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.pt"]
    state = torch.load(path, weights_only=True)
    assert state["step"] == 1
    assert equal(build_vmos(TINY, state).state_dict(), started.model.state_dict())
    average = build_vmos(TINY, state["average"]).state_dict()
    assert equal(average, started.average.module.state_dict())


def test_train_leaves_a_log_and_a_checkpoint(tmp_path):
    run = trainer(steps=20, batch=1)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        train(run, generated(size=49), tmp_path, workers=0, save_every=100)
    finally:
        signal.signal(signal.SIGTERM, handler)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [20]
    assert np.isfinite(list(rows[0].values())).all()
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 20


def test_a_terminated_run_saves_where_it_is(tmp_path):
    run = trainer(steps=20, batch=1)
    advance = run.advance

    def terminated_at_the_third(batch):
        if run.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return advance(batch)

    run.advance = terminated_at_the_third
    handler = signal.getsignal(signal.SIGTERM)
    try:
        train(run, generated(size=49), tmp_path, workers=0, save_every=100)
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 3


def test_initialised_deformable_convolutions_are_plain_means():
    model = initialise(build_vmos(TINY))
    changed = [name for name, p in model.named_parameters() if p.ndim > 1 and not p.any()]
    assert len(changed) == 2 * sum(TINY.encoder_depths)
    assert all(".dcn.offset." in name or ".dcn.mask." in name for name in changed)


def test_every_weight_learns():
    model = initialise(build_vmos(TINY)).train()
    batch = next(batches(generated(), 2, 0, 1, workers=0))
    roll_out(model, *batch, LossConfig(), torch.Generator()).loss.backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_truth_or_prediction_enters_memory():
    """With four frames the third and fourth depend on what was remembered of the second."""
    batch = next(batches(generated(frames=4), 2, 0, 1, workers=0))
    losses = []
    for truth in (1.0, 0.0):
        model = trainer().model
        outcome = roll_out(model, *batch, LossConfig(truth=truth), torch.Generator())
        losses.append(outcome.segmentation)
    assert losses[0] != losses[1]


def test_the_transport_loss_is_an_addend():
    batch = next(batches(generated(), 2, 0, 1, workers=0))
    model = trainer().model
    for weight in (0.0, 0.5):
        config = LossConfig(transport=weight, truth=1.0)
        outcome = roll_out(model, *batch, config, torch.Generator())
        expected = outcome.segmentation + weight * outcome.transport
        assert outcome.loss.item() == pytest.approx(expected, rel=1e-5)
        assert outcome.transport > 0


def test_a_clip_is_learned_by_heart():
    sequence = synthetic.generate(5, frames=3, size=(65, 65), objects=2)
    frames = torch.from_numpy(np.stack([normalise(image) for image in sequence.images]))
    labels = torch.from_numpy(sequence.masks.astype(np.int64))
    clip = Clip(frames[None], labels[None])
    learner = trainer(steps=40, rate=5e-3, warm_up=5)
    outcomes = [learner.advance(clip) for _ in range(40)]
    first = np.mean([outcome.segmentation for outcome in outcomes[:3]])
    last = np.mean([outcome.segmentation for outcome in outcomes[-3:]])
    assert last < 0.6 * first
