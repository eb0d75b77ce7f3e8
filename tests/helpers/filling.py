"""A prompter that needs no network: a box is the object, clicks add and take away small squares."""

import numpy as np


class Filling:
    name = "Filling"

    def __init__(self):
        self.asked, self.prepared = [], False

    def prepare(self):
        self.prepared = True

    def segment(self, image, box, clicks):
        self.asked.append((box, list(clicks)))
        mask = np.zeros(image.shape[:2], bool)
        if box is not None:
            left, top, right, bottom = (round(side) for side in box)
            mask[top : bottom + 1, left : right + 1] = True
        for x, y, inside in clicks:
            mask[max(int(y) - 1, 0) : int(y) + 2, max(int(x) - 1, 0) : int(x) + 2] = inside
        return mask
