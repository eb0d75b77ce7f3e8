"""The seam to what makes masks from boxes and clicks."""

from types import SimpleNamespace

import numpy as np

from hqtrack.app.project import Click
from hqtrack.app.prompter import Refiner, choose_prompter

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


def test_the_light_hq_sam_is_built_on_first_use(monkeypatch):
    asked = []

    def build_refiner(device):
        asked.append(device)
        return SimpleNamespace(
            segment=lambda image, **given: SimpleNamespace(masks=np.ones((1, 3, 8, 10), bool))
        )

    monkeypatch.setattr("hqtrack.build.build_refiner", build_refiner)
    prompter = choose_prompter("cpu")
    assert prompter.takes_clicks
    assert asked == []
    assert prompter.segment(IMAGE, (1, 2, 3, 4), ()).all()
    assert asked == ["cpu"]
