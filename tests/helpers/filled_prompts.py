"""First masks without a network: the pixels in a box, or around a point."""

import numpy as np

from hqtrack.runs.targets import Box


class FilledPrompts:
    """Fills boxes, and squares of five pixels around points."""

    name = "HQ-SAM light"

    def __init__(self, *given):
        """Takes what `RefinerMasks` takes."""

    def masks(self, image, prompts):
        y, x = np.mgrid[: image.shape[0], : image.shape[1]]
        found = []
        for prompt in prompts:
            if isinstance(prompt, Box):
                inside = (prompt.left <= x) & (x <= prompt.right)
                inside &= (prompt.top <= y) & (y <= prompt.bottom)
            else:
                inside = np.zeros(x.shape, bool)
                for n, (column, row) in enumerate(prompt.places):
                    if n in prompt.beside:
                        continue
                    inside |= (abs(x - column) < 3) & (abs(y - row) < 3)
            found.append(inside)
        return np.array(found, np.bool_)
