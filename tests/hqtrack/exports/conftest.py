"""A run on disk, with its video."""

import cv2
import numpy as np
import pytest

from hqtrack.runs.results import Results
from tests.helpers.followed import RUN, SIZE, followed


@pytest.fixture
def clip(tmp_path):
    """Seven images, of which the run has tracked 1, 3, 5 and 7; a mask lies among them."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for number in range(1, 8):
        picture = np.full((*SIZE, 3), (10 * number, 100, 200), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), picture[..., ::-1])
    cv2.imwrite(str(folder / "0_mask.png"), np.ones(SIZE, np.uint8))
    return folder


@pytest.fixture
def folder(tmp_path, clip):
    """The folder of the run; its frames are called 1.png, 3.png, ..."""
    objects = (
        "the cat (3) from the first frame: a",
        "500 (500) from frame 5: b",
        "the cat (3) corrected from frame 7: gone",
        "never (7) from frame 99: c",
    )
    description = vars(RUN) | {"video": str(clip), "every": 2, "objects": objects}
    with Results(tmp_path / "a run", type(RUN)(**description)) as results:
        for number in (1, 3, 5, 7):
            seen = followed(number)
            name = seen.frame.name.replace("jpg", "png")
            results.write(seen._replace(frame=seen.frame._replace(name=name)), 0.25)
    return tmp_path / "a run"
