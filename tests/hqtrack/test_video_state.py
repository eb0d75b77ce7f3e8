"""What a video notes about its last frame."""

import numpy as np
import pytest

from hqtrack.video_state import areas


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32])
@pytest.mark.parametrize("objects", [0, 1, 7, 255])
def test_areas_are_the_pixels_of_each_object(kind, objects):
    """Also in a part of a larger map, and without objects that are not there."""
    present = min(objects, 200)
    labels = (
        np.random.default_rng(objects).integers(0, present + 1, (60, 90)).astype(kind)[:, 10:70]
    )
    found = areas(labels, objects)
    assert found.dtype == np.float32
    assert found.tolist() == [(labels == number).sum() for number in range(1, objects + 1)]
