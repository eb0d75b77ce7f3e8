"""Paints strokes of a brush on a mask."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from hqtrack.app.project import Stroke


def paint(mask: NDArray[np.bool_], strokes: Iterable[Stroke]) -> NDArray[np.bool_]:
    """The mask [H,W] with these strokes painted on it, in their order."""
    canvas = np.ascontiguousarray(mask, np.uint8)
    for stroke in strokes:
        ink = 0 if stroke.erase else 1
        radius = max(0, round(stroke.radius))
        points = np.round(np.array(stroke.points)).astype(np.int32).reshape(-1, 2)
        for point in points:
            cv2.circle(canvas, point.tolist(), radius, ink, -1)
        if len(points) > 1:
            cv2.polylines(canvas, [points], False, ink, max(1, 2 * radius))
    return canvas.astype(np.bool_)
