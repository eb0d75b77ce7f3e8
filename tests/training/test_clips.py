"""Training clips: functions of seed and number, never of a reserved seed."""

import numpy as np
import pytest
import torch

from hqtrack import synthetic
from hqtrack.preprocess import normalise
from training.clips import ClipConfig, Clips

SIZE = 65


def supply(shared, seed=0, config=None):
    """Real video, stills and generated sequences, as in training."""
    data = shared / "data"
    folders = sorted(data.glob("davis_train/*/"))[:2]
    config = config or ClipConfig(size=SIZE, frames=3, objects=4)
    return Clips(config, folders, data / "stills", seed, 100)


def generated(seed=0, objects=10):
    config = ClipConfig(size=SIZE, frames=3, video=0.0, generated=1.0, objects=objects)
    return Clips(config, [], None, seed, 100)


def check(clip, objects, frames=3):
    assert clip.frames.shape == (frames, 3, SIZE, SIZE)
    assert clip.frames.dtype == torch.float32
    assert clip.labels.shape == (frames, SIZE, SIZE)
    assert clip.labels.dtype == torch.int64
    levels = normalise(np.array([[[0] * 3, [255] * 3]], np.uint8))
    for channel in range(3):
        plane = clip.frames[:, channel]
        assert plane.min() >= levels[channel].min()
        assert plane.max() <= levels[channel].max()
    assert clip.labels.min() >= 0
    assert clip.labels.max() <= objects
    first = set(clip.labels[0].unique().tolist())
    assert set(clip.labels.unique().tolist()) <= first


def test_a_clip_depends_on_seed_and_number_only(shared):
    """Asked in another order, of another instance, it is the same; else it is another."""
    forth, back = supply(shared), supply(shared)
    numbers = range(8)
    clips = [forth[n] for n in numbers]
    again = [back[n] for n in reversed(numbers)][::-1]
    for clip, same in zip(clips, again, strict=True):
        assert torch.equal(clip.frames, same.frames)
        assert torch.equal(clip.labels, same.labels)
    assert len({clip.frames.sum().item() for clip in clips}) == len(clips)
    assert not torch.equal(supply(shared, seed=1)[0].frames, clips[0].frames)


@pytest.mark.parametrize(("video", "share"), [(1.0, 0.0), (0.0, 0.0), (0.0, 1.0)])
def test_every_kind_of_clip(shared, video, share):
    config = ClipConfig(size=SIZE, frames=4, video=video, generated=share, objects=2)
    clips = supply(shared, config=config)
    labelled = 0
    for number in range(6):
        clip = clips[number]
        check(clip, objects=2, frames=4)
        labelled += bool(clip.labels[0].any())
        assert not torch.equal(clip.frames[0], clip.frames[-1])
    assert labelled >= 4


def test_generated_clips_need_no_data():
    clips = generated()
    assert len(clips) == 100
    check(clips[0], objects=10)


def test_identities_are_spread_over_all_channels():
    clips = generated(objects=10)
    seen = {label for n in range(20) for label in clips[n].labels.unique().tolist()}
    assert seen == set(range(11))


def test_reserved_seeds_of_the_generator_are_never_used(monkeypatch):
    """With nearly all seeds reserved, only the few others are drawn."""
    seeds = []
    generate = synthetic.generate

    def noted(seed, **arguments):
        seeds.append(seed)
        return generate(seed, **arguments)

    monkeypatch.setattr(synthetic, "generate", noted)
    clips = generated()
    for number in range(10):
        clips[number]
    assert len(set(seeds)) == 10
    assert max(seeds) < synthetic.RESERVED_SEED <= min(synthetic.DEMO_SEEDS)
    seeds.clear()
    monkeypatch.setattr(synthetic, "RESERVED_SEED", 3)
    for number in range(10):
        clips[number]
    assert set(seeds) == {0, 1, 2}
