"""A tracker that waits before each frame until it is told to go on."""

import threading

from tests.helpers.moving import Moving


class Waiting(Moving):
    """Each release of ``go`` is one frame."""

    def __init__(self):
        super().__init__()
        self.go = threading.Semaphore(0)

    def track(self, image):
        self.go.acquire()
        return super().track(image)
