"""The seam to what makes masks from boxes and clicks."""

from types import SimpleNamespace

import numpy as np
import pytest

from hqtrack.app.project import Click
from hqtrack.app.prompter import BoxesOnly, Refiner, choose_prompter
from hqtrack.errors import InputError

IMAGE = np.zeros((8, 10, 3), np.uint8)


def test_a_refiner_is_loaded_once_and_asked_with_arrays():
    asked, built = [], []

    def segment(image, boxes, points, labels):
        asked.append((boxes, points, labels))
        return SimpleNamespace(masks=np.ones((1, 3, 8, 10), bool))

    refiner = Refiner("HQ-SAM", lambda: built.append(1) or SimpleNamespace(segment=segment))
    assert built == []
    assert refiner.segment(IMAGE, (1, 2, 3, 4), ()).shape == (8, 10)
    refiner.segment(IMAGE, None, [Click(1, 2, True), Click(3, 4, False)])
    assert built == [1]
    assert asked[0][0].tolist() == [[1, 2, 3, 4]]
    assert asked[0][1:] == (None, None)
    assert asked[1][0] is None
    assert asked[1][1].tolist() == [[[1, 2], [3, 4]]]
    assert asked[1][2].tolist() == [[1, 0]]


def test_without_hq_sam_there_are_boxes_only():
    image = IMAGE.copy()
    image[2:5, 3:7] = 200
    mask = BoxesOnly().segment(image, (2, 1, 7, 5), ())
    assert mask.shape == (8, 10)
    assert mask[3, 4]
    with pytest.raises(InputError, match=r"clicks need HQ-SAM.*draw a box"):
        BoxesOnly().segment(IMAGE, None, [Click(1, 2, True)])


def test_hq_sam_is_taken_where_it_is(monkeypatch):
    monkeypatch.setattr("hqtrack.build.build_refiner", lambda device: device, raising=False)
    assert choose_prompter().takes_clicks
    monkeypatch.delattr("hqtrack.build.build_refiner")
    assert not choose_prompter().takes_clicks
