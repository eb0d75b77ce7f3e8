"""A camera without a camera."""

import numpy as np


class FakeCamera:
    """A camera that gives so many frames; BGR, as OpenCV does."""

    def __init__(self, index, frames=3):
        self.left = frames if index == 0 else -1
        self.released = False

    def isOpened(self):
        return self.left >= 0

    def read(self):
        self.left -= 1
        return self.left >= 0, np.full((4, 6, 3), (10, 20, 30), np.uint8)

    def release(self):
        self.released = True
