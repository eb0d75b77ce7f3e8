"""The seam to what makes masks from boxes and clicks."""

from types import SimpleNamespace

import numpy as np
import pytest

from hqtrack.app.project import Click
from hqtrack.app.prompter import Refiner, choose_prompter

IMAGE = np.zeros((8, 10, 3), np.uint8)


def test_a_refiner_is_loaded_once_and_asked_with_arrays():
    asked, built = [], []

    def segment(image, boxes, points, labels):
        asked.append((boxes, points, labels))
        masks = np.ones((1, 3, 8, 10), bool)
        masks[0, 0] = False
        return SimpleNamespace(masks=masks)

    refiner = Refiner("HQ-SAM", lambda: built.append(1) or SimpleNamespace(segment=segment))
    assert built == []
    assert refiner.segment(IMAGE, (1, 2, 3, 4), ()).all()
    refiner.segment(IMAGE, None, [Click(1, 2, True), Click(3, 4, False)])
    assert built == [1]
    assert asked[0][0].tolist() == [[1, 2, 3, 4]]
    assert asked[0][1:] == (None, None)
    assert asked[1][0] is None
    assert asked[1][1].tolist() == [[[1, 2], [3, 4]]]
    assert asked[1][2].tolist() == [[1, 0]]


@pytest.mark.parametrize("variant", [None, "vit_b"])
def test_the_best_hq_sam_is_built_on_first_use(monkeypatch, tmp_path, variant):
    asked = []

    def build_refiner(*given):
        asked.append(given)
        return SimpleNamespace(
            segment=lambda image, **given: SimpleNamespace(
                masks=np.ones((1, 3, *image.shape[:2]), bool)
            )
        )

    monkeypatch.setattr("hqtrack.build.build_refiner", build_refiner)
    monkeypatch.setattr("hqtrack.app.prompter.best_variant", lambda directory: variant)
    prompter = choose_prompter(tmp_path, "cpu")
    assert prompter.name == f"HQ-SAM {variant or 'light'}"
    assert asked == []
    prompter.prepare()
    assert prompter.segment(IMAGE, (1, 2, 3, 4), ()).all()
    assert asked == [("vit_b", "cpu", tmp_path) if variant else ("light", "cpu", None)]
