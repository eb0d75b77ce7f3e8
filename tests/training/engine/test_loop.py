"""The engine with a small task: position, generators, resuming, saving, giving up."""

import json
import multiprocessing
import os
import signal

import cv2
import pytest
import torch

from hqtrack.errors import InputError
from tests.helpers.line import CPU, Points, make_trainer
from training.engine.loop import train
from training.engine.run_folder import RunFolder, read_checkpoint
from training.engine.trainer import (
    MOST_SKIPPED,
    DivergedError,
)


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


def test_one_process_is_a_world():
    values = torch.tensor([1.0, 2.0])
    assert torch.equal(CPU.mean(values), torch.tensor([1.0, 2.0]))
    assert CPU.any(True)
    assert not CPU.any(False)
