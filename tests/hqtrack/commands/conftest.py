"""What the tests of ``hqtrack run`` share: a tracker that only moves masks, and five images."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.video import write_labels
from tests.helpers.filled_prompts import FilledPrompts
from tests.helpers.moving import Moving
from tests.helpers.run_command import HEIGHT, NAMES, WIDTH


@pytest.fixture
def built(monkeypatch, tmp_path):
    """What was asked of hqtrack.build; ``fails`` is handed on to the tracker."""
    monkeypatch.setenv("HQTRACK_WEIGHTS", str(tmp_path / "weights"))
    state = SimpleNamespace(asked=[], fails=None, make=lambda: Moving(state.fails))

    def build_tracker(preset, **options):
        state.asked.append((preset, options))
        return state.make()

    monkeypatch.setattr("hqtrack.build.build_tracker", build_tracker)
    monkeypatch.setattr("hqtrack.runs.choice.RefinerMasks", FilledPrompts)
    return state


@pytest.fixture
def labels():
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    labels[2:5, 2:6], labels[6:9, 3:8] = 3, 300
    return labels


@pytest.fixture
def output(tmp_path):
    return tmp_path / "out" / "deep"


@pytest.fixture
def arguments(tmp_path, labels, output):
    """A folder of five images named with gaps, the mask of the first, and where to write."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name in NAMES:
        PillowImage.new("RGB", (WIDTH, HEIGHT)).save(folder / name)
    write_labels(tmp_path / "first.png", labels)
    options = [folder, "--mask", tmp_path / "first.png", "--output", output]
    return ["run", *map(str, options)]
