"""Which frames of a video make a clip: the first has a mask, the order is that of the video."""

from pathlib import Path

import numpy as np
import pytest

from training.data.sources import AnnotatedVideo, MaskedImage
from training.vmos.picks import pick_frames

DRAWS = 60


def video(frames, annotated, spacing=1):
    return AnnotatedVideo(
        "a",
        tuple(
            MaskedImage(Path(f"{index}.jpg"), Path("mask.png") if index in annotated else None)
            for index in range(frames)
        ),
        spacing,
    )


def drawn(source, count=4, max_gap=3):
    """Lists of indices, all turned forwards, of many draws."""
    clips = []
    for seed in range(DRAWS):
        picked = pick_frames(np.random.default_rng(seed), source, count, max_gap)
        assert len(picked) == count
        assert picked[0].mask is not None
        indices = [int(frame.image.stem) for frame in picked]
        clips.append(indices if indices[0] <= indices[-1] else indices[::-1])
    assert all(indices == sorted(indices) for indices in clips)
    return clips


def test_gaps_of_a_video_with_all_masks():
    clips = drawn(video(30, range(30)))
    gaps = {gap for indices in clips for gap in np.diff(indices).tolist()}
    assert gaps == {1, 2, 3}


def test_gaps_shrink_with_the_spacing():
    clips = drawn(video(30, range(30), spacing=2))
    assert {gap for indices in clips for gap in np.diff(indices).tolist()} == {1}


def test_both_directions():
    source = video(30, range(30))
    clips = [pick_frames(np.random.default_rng(seed), source, 3, 2) for seed in range(20)]
    forwards = {int(clip[0].image.stem) < int(clip[-1].image.stem) for clip in clips}
    assert forwards == {True, False}


def test_frames_without_a_mask_lie_between_frames_that_have_one():
    annotated = {0, 5, 10, 15, 20}
    clips = drawn(video(21, annotated))
    alone = [indices for indices in clips if set(indices) <= annotated]
    mixed = [indices for indices in clips if not set(indices) <= annotated]
    assert min(len(alone), len(mixed)) > DRAWS // 6
    assert all({indices[0], indices[-1]} <= annotated for indices in mixed)
    assert {indices[-1] - indices[0] for indices in mixed} == {5}  # at most 3 gaps of 3 frames


@pytest.mark.parametrize("max_gap", [1, 2, 50])
def test_masks_that_are_far_apart_or_few(max_gap):
    clips = drawn(video(12, {2, 9}), count=5, max_gap=max_gap)
    assert all((indices[0], indices[-1]) == (2, 9) for indices in clips)
    clips = drawn(video(3, {0, 1}), count=5, max_gap=max_gap)
    assert all(set(indices) == {0, 1} for indices in clips)
