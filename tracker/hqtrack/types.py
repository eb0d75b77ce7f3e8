"""The arrays that cross module borders, and the letters used in their shapes.

======  ==========================================================
letter  meaning
======  ==========================================================
H, W    height and width of the original frame, in pixels
h, w    height and width of the network input, in pixels
N       number of objects, in the order in which they were given
K       candidate masks per object
T       frames in long-term memory
C       channels
======  ==========================================================

Coordinates are (x, y) with the origin at the centre of the top-left pixel, x to the right and
y downwards; boxes are (left, top, right, bottom) with inclusive pixel indices.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Image: TypeAlias = NDArray[np.uint8]
"""[H,W,3] RGB, 0..255."""

Masks: TypeAlias = NDArray[np.bool_]
"""[N,H,W]; index = object, in the order of initialisation. Masks may overlap."""

LabelMap: TypeAlias = NDArray[np.int32]
"""[H,W]; 0 = background, n + 1 = object n."""

Boxes: TypeAlias = NDArray[np.float64]
"""[N,4] left, top, right, bottom; inclusive pixel indices."""

Scores: TypeAlias = NDArray[np.float32]
"""[N] or [N,K]."""
