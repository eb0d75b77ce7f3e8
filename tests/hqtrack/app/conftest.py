"""A project of a short video; its tracker only moves masks, its prompter fills boxes."""

import cv2
import numpy as np
import pytest

from hqtrack.app.follow import Setup
from hqtrack.app.studio import Studio
from hqtrack.runs.choice import TrackerChoice
from hqtrack.video.sources import open_source
from tests.helpers.filling import Filling
from tests.helpers.moving import Moving

SIZE = (24, 40)
FRAMES = 6


@pytest.fixture
def clip(tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(1, FRAMES + 1):
        picture = np.full((*SIZE, 3), 30 * number, np.uint8)
        cv2.imwrite(str(folder / f"{number:08d}.png"), picture)
    return folder


@pytest.fixture
def opened(tmp_path, clip):
    """Opens the project; its tracker is a ``Moving`` unless another is given."""

    def studio(build=lambda plan: Moving()):
        setup = Setup(TrackerChoice("light", None))
        return Studio(tmp_path / "project", open_source(clip), setup, Filling(), build)

    return studio


@pytest.fixture
def studio(opened):
    with opened() as studio:
        yield studio
