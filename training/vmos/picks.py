"""Which frames of a video make a clip."""

import numpy as np
from numpy.random import Generator

from training.data.sources import AnnotatedVideo, MaskedImage


def pick_frames(
    rng: Generator, video: AnnotatedVideo, count: int, max_gap: int
) -> list[MaskedImage]:
    """Frames of a clip in order, forwards or backwards; the first one has a mask.

    Where some frames of the video have none, half of the clips are made of those that have one,
    and the others end on one.

    Args:
        rng: all chances.
        video: where they come from.
        count: how many, at least 2.
        max_gap: most frames of the video between two of the clip. Annotated ones may be further
            apart.
    """
    annotated = video.annotated
    if len(annotated) == len(video.frames):
        picked = _spaced(rng, list(range(len(video.frames))), count, max_gap // video.spacing)
    elif rng.random() < 0.5:
        spacing = (annotated[-1] - annotated[0]) / (len(annotated) - 1) * video.spacing
        picked = _spaced(rng, annotated, count, int(max_gap / spacing))
    else:
        picked = _between(rng, annotated, count, (count - 1) * max_gap // video.spacing)
    if rng.random() < 0.5:
        picked.reverse()
    return [video.frames[index] for index in picked]


def _spaced(rng: Generator, indices: list[int], count: int, max_gap: int) -> list[int]:
    """`count` of the indices, each up to `max_gap` places after the one before."""
    gaps = rng.integers(1, max(1, max_gap) + 1, count - 1)
    offsets = np.concatenate([[0], np.cumsum(gaps)])
    offsets = np.minimum(offsets, len(indices) - 1)
    start = rng.integers(len(indices) - offsets[-1])
    return [indices[start + offset] for offset in offsets]


def _between(rng: Generator, annotated: list[int], count: int, reach: int) -> list[int]:
    """Two annotated frames and others between them, ascending.

    The two are up to `reach` frames apart, or neighbours among the annotated ones.
    """
    first = int(rng.integers(len(annotated) - 1))
    near = [index for index in annotated[first + 1 :] if index - annotated[first] <= reach]
    last = int(rng.choice(near)) if near else annotated[first + 1]
    inner = np.arange(annotated[first] + 1, last)
    if len(inner) >= count - 2:
        chosen = rng.choice(inner, count - 2, replace=False)
    else:
        chosen = rng.integers(annotated[first], last + 1, count - 2)
    return [annotated[first], *sorted(chosen.tolist()), last]
