"""Follow the objects of a mask through a video: ``python examples/track.py VIDEO MASK.png``.

Prints for each frame how many pixels each object has and how sure the tracker is of it.
"""

import sys
from pathlib import Path

import numpy as np

from hqtrack import build_tracker, open_source
from hqtrack.masks import label_masks
from hqtrack.video import read_labels


def main(video: str, mask: str) -> None:
    """Follow every number of the label map ``mask``, drawn on the first frame of ``video``."""
    labels = read_labels(Path(mask))
    numbers = np.unique(labels[labels > 0]).tolist()
    frames = open_source(video, but_not=[Path(mask)]).read()
    tracker = build_tracker("light")
    tracker.initialize(next(frames).image, label_masks(labels, numbers))
    for frame in frames:
        masks, confidence = tracker.track(frame.image)
        areas = np.count_nonzero(masks, axis=(1, 2))
        found = zip(numbers, areas, confidence, strict=True)
        print(frame.name, *(f"{n}: {area} px ({sure:.2f})" for n, area, sure in found))


if __name__ == "__main__":
    main(*sys.argv[1:])
