"""VMOS as a task: learning a clip by heart, samples, evaluation."""

import numpy as np
import pytest
import torch

from hqtrack import synthetic
from hqtrack.light import LIGHT_SEGMENTER
from hqtrack.video import write_sequence
from tests.helpers.tiny_clips import CPU, raw
from tests.helpers.tiny_vmos import TINY, tiny_vmos
from training.data.layouts import read_sequences
from training.engine.trainer import Settings, Trainer
from training.vmos.clips import RawClip
from training.vmos.rollout import LossConfig
from training.vmos.start import initialise
from training.vmos.task import VMOSTask
from vmos import build_vmos


@pytest.mark.slow
def test_a_clip_is_learned_by_heart():
    sequence = synthetic.generate(5, frames=3, size=(49, 49), objects=2)
    unchanged = torch.eye(3, 4)[None]
    masks = torch.from_numpy(sequence.masks.astype(np.uint8))
    clip = RawClip(
        torch.from_numpy(sequence.images)[None], masks[None], unchanged, torch.zeros(1) > 0
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = initialise(build_vmos(TINY))
    task = VMOSTask(model, LossConfig(hardest=1.0, transport=0.0), LIGHT_SEGMENTER)
    settings = Settings(
        140, batch=1, learning_rate=2e-2, last_learning_rate=5e-3, warm_up=10, weight_decay=0.0
    )
    learner = Trainer(task, settings, CPU)
    scores = [learner.advance(clip).parts["J"].item() for _ in range(settings.steps)]
    assert scores[0] < 0.5
    assert min(scores[-5:]) > 0.95


def test_a_sample_picture_shows_truth_over_prediction():
    task = VMOSTask(tiny_vmos(), LossConfig(), LIGHT_SEGMENTER)
    picture = task.sample(tiny_vmos(), raw())
    assert picture.shape == (2 * 49, 3 * 49, 3)
    assert np.array_equal(picture[:49, :49], picture[49:, :49])
    assert not np.array_equal(picture[:49], picture[49:])


def test_evaluation_tracks_held_out_videos(tmp_path):
    sequence = synthetic.generate(3, frames=4, size=(64, 64), objects=2)
    write_sequence(tmp_path / "one", *sequence)
    videos = read_sequences(tmp_path).videos
    scores = VMOSTask(tiny_vmos(), LossConfig(), LIGHT_SEGMENTER, videos).evaluate(tiny_vmos())
    assert set(scores) == {"held_out_J", "held_out/one"}
    assert 0 <= scores["held_out_J"] == scores["held_out/one"] < 1
    assert VMOSTask(tiny_vmos(), LossConfig(), LIGHT_SEGMENTER).evaluate(tiny_vmos()) == {}


@pytest.mark.parametrize("ratio", [0.1, 0.0])
def test_what_was_pretrained_learns_slowly_or_not_at_all(ratio):
    model = tiny_vmos()
    task = VMOSTask(model, LossConfig(), LIGHT_SEGMENTER, encoder_ratio=ratio)
    scales = {name: task.learning_rate_scale(name) for name, _ in model.named_parameters()}
    slow = {name for name, value in scales.items() if value == ratio}
    encoder = ("encoder.stem.", "encoder.levels.")
    assert slow == {name for name in scales if name.startswith(encoder)}
    assert {scales[name] for name in scales.keys() - slow} == {1.0}
    fixed = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert fixed == (set() if ratio else slow)
