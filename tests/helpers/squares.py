"""Annotated sequences of two squares, and a tracker that reads the squares off the images."""

import numpy as np
from PIL import Image as PillowImage

from hqtrack.tracker import Tracked
from hqtrack.video import write_labels

HEIGHT, WIDTH = 60, 80


def square_sequence(folder, lefts, annotated=None):
    """Object 1, a square whose left side moves as told; object 2, one that stays."""
    (folder / "color").mkdir(parents=True)
    (folder / "masks").mkdir()
    for number, left in enumerate(lefts, start=1):
        labels = np.zeros((HEIGHT, WIDTH), np.int32)
        labels[10:30, left : left + 20] = 1
        labels[40:50, 10:20] = 2
        image = np.repeat(labels[:, :, None] * 100, 3, axis=2).astype(np.uint8)
        PillowImage.fromarray(image).save(folder / "color" / f"{number:08d}.png")
        if annotated is None or number in annotated:
            write_labels(folder / "masks" / f"{number:08d}.png", labels)
    return folder


class Perfect:
    """Reads the masks off the images, which show them; takes 100 s to start and 2 s a frame."""

    now = 0.0

    def initialize(self, image, masks):
        self.now += 100
        self.count = len(masks)

    def track(self, image):
        self.now += 2
        masks = np.stack([image[:, :, 0] == 100 * (n + 1) for n in range(self.count)])
        return Tracked(masks, np.ones(self.count, np.float32))
