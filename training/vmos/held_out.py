"""How well a tracker follows the objects of a video that nothing was trained on."""

from typing import NamedTuple

import numpy as np

from hqtrack.masks import label_masks
from hqtrack.measures import boundary_measure, region_similarity
from hqtrack.tracker import Tracker
from training.data.sources import VOID, AnnotatedVideo, is_object


class Followed(NamedTuple):
    """Means over objects and annotated frames: region similarity J and boundary measure F."""

    J: float
    F: float


def follow(tracker: Tracker, video: AnnotatedVideo, most: int | None = None) -> Followed:
    """Track the objects of the first frame that has a mask, and compare wherever there is one.

    That frame does not count and, as in DAVIS, neither does the last one where all have masks.
    Void pixels count as background on both sides.

    Args:
        tracker: what follows.
        video: what is followed.
        most: frames that are tracked; by default all.

    Raises:
        InputError: a file is damaged.
    """
    first = video.annotated[0]
    image, labels = video.frames[first].read()
    objects = np.unique(labels[is_object(labels)]).tolist()
    tracker.initialize(image, label_masks(labels, objects))
    scores = []
    frames = video.frames[first + 1 :][:most]
    for frame in frames:
        image, labels = frame.read()
        found = tracker.track(image).masks & (labels != VOID)
        if frame.mask is not None:
            masks = label_masks(labels, objects)
            measured = region_similarity(found, masks), boundary_measure(found, masks)
            scores.append([values.mean() for values in measured])
    if len(scores) == len(frames) > 1:
        scores.pop()
    if not scores:
        return Followed(float("nan"), float("nan"))
    return Followed(*np.mean(scores, axis=0).tolist())
