"""A folder with one annotated sequence."""

import pytest
from PIL import Image

from hqtrack import synthetic
from hqtrack.video import write_labels


@pytest.fixture
def sequences(tmp_path):
    """The folder of the sequence `one`: four small frames with one object."""
    folder = tmp_path / "sequences"
    drawn = synthetic.generate(synthetic.RESERVED_SEED, frames=4, size=(96, 96), objects=1)
    for part in ("color", "masks"):
        (folder / "one" / part).mkdir(parents=True)
    for number, (image, labels) in enumerate(zip(drawn.images, drawn.masks, strict=True), 1):
        Image.fromarray(image).save(folder / "one" / "color" / f"{number:08d}.png")
        write_labels(folder / "one" / "masks" / f"{number:08d}.png", labels)
    return folder
