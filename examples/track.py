"""Track the objects of a label map through a video: ``python examples/track.py VIDEO MASK.png``.

Prints the area in pixels and the confidence of each object for each frame.
"""

import sys
from pathlib import Path

import numpy as np

from hqtrack import build_tracker, open_source
from hqtrack.masks import label_masks
from hqtrack.video import read_labels


def main(video: str, mask: str) -> None:
    """Track every number of ``mask``, the label map of the first frame of ``video``."""
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
