"""Colours, mirroring and normalisation of a batch of clips, and its picture."""

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from hqtrack.preprocess import normalise
from training.vmos.augment import augment
from training.vmos.clips import ClipConfig, Clips, RawClip
from training.vmos.pictures import draw_clip
from training.vmos.warp import colour_map

AS_IT_IS = np.eye(3, 4, dtype=np.float32)


def raw_clip(colour=AS_IT_IS, flip=False, seed=0):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    labels = rng.integers(0, 3, (2, 5, 7), dtype=np.uint8)
    return RawClip(*map(torch.as_tensor, (frames, labels, colour, flip)))


def one(raw):
    """Frames and labels of a single clip, augmented."""
    clip = augment(default_collate([raw]))
    return clip.frames[0], clip.labels[0]


def expected(images):
    return torch.from_numpy(np.stack([normalise(image) for image in images]))


def test_frames_are_normalised_as_for_tracking():
    raw = raw_clip()
    frames, labels = one(raw)
    torch.testing.assert_close(frames, expected(raw.frames.numpy()), atol=1e-5, rtol=0)
    assert labels.dtype == torch.int64
    assert torch.equal(labels, raw.labels.long())


def test_frames_and_labels_are_mirrored_together():
    frames, labels = one(raw_clip())
    mirrored_frames, mirrored_labels = one(raw_clip(flip=True))
    assert torch.equal(mirrored_frames, frames.flip(-1))
    assert torch.equal(mirrored_labels, labels.flip(-1))
    assert not torch.equal(mirrored_labels, labels)


def test_colours_are_mapped_and_stay_within_what_a_picture_has():
    colour = np.array([[0, 1, 0, 50], [2, 0, 0, 0], [0, 0, 1, -90]], np.float32)
    raw = raw_clip(colour)
    red, green, blue = (raw.frames[..., channel].numpy().astype(int) for channel in range(3))
    images = np.stack([green + 50, 2 * red, blue - 90], axis=-1).clip(0, 255).astype(np.uint8)
    torch.testing.assert_close(one(raw)[0], expected(images), atol=1e-5, rtol=0)


def test_clips_of_a_batch_do_not_depend_on_each_other():
    config = ClipConfig(size=49, frames=2, video=0.0, generated=1.0)
    clips = Clips(config, [], seed=0)
    together = augment(default_collate([clips[n] for n in range(4)]))
    halves = [augment(default_collate([clips[n] for n in pair])) for pair in ((0, 1), (2, 3))]
    torch.testing.assert_close(together.frames, torch.cat([half.frames for half in halves]))
    assert torch.equal(together.labels, torch.cat([half.labels for half in halves]))


def test_colour_maps_change_gain_tint_offset_and_saturation():
    """Their distribution is what is documented, for a strength of 0.3."""
    rng = np.random.default_rng(0)
    maps = np.stack([colour_map(rng, 0.3) for _ in range(4000)]).astype(float)
    offsets, gains = maps[:, 0, 3], maps[:, :, :3].sum(axis=2)
    assert np.abs(offsets).max() == pytest.approx(18, rel=0.01)
    assert np.abs(offsets.mean()) < 0.5
    assert gains.mean() == pytest.approx(1, abs=0.01)
    assert gains.min() > 0.7 * 0.88 - 1e-6
    assert gains.max() < 1.3 * 1.12 + 1e-6
    assert gains.mean(axis=1).std() == pytest.approx(np.sqrt(0.3**2 / 3 + 0.12**2 / 9), rel=0.05)
    grey = np.ptp(maps[:, 0, :3], axis=1) < 1e-6
    assert grey.mean() == pytest.approx(0.05, abs=0.01)
    saturation = 1 - 3 * maps[~grey][:, 0, 1] / gains[~grey][:, 0]
    assert saturation.min() == pytest.approx(0.7, abs=0.01)
    assert saturation.max() == pytest.approx(1.3, abs=0.01)


def test_a_picture_has_a_row_of_frames_for_each_label_maps():
    raw = raw_clip()
    frames, labels = one(raw)
    picture = draw_clip(frames, torch.zeros_like(labels), labels)
    assert picture.shape == (2 * 5, 2 * 7, 3)
    assert np.array_equal(picture[:5], np.concatenate(raw.frames.numpy(), axis=1))
    inside = np.concatenate(labels.numpy() > 0, axis=1)
    changed = (picture[5:] != picture[:5]).any(axis=-1)
    assert not changed[~inside].any()
    assert changed[inside].mean() > 0.9
