"""Sequences with masks, from files and from the generator."""

import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.errors import InputError
from hqtrack.scoring.annotated import Generated, OnDisk, reserved_sequences
from hqtrack.synthetic import FRAMES, RESERVED_SEED, SIZE, generate
from hqtrack.video import open_sequence, write_labels

HEIGHT, WIDTH = 6, 8


@pytest.fixture
def folder(tmp_path):
    """Three frames; objects 2 and 5, of which the second is there on the first frame only."""
    folder = tmp_path / "small"
    (folder / "color").mkdir(parents=True)
    (folder / "masks").mkdir()
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    labels[1:3, 1:3] = 2
    for number in (1, 2, 3):
        labels[4, 4] = 5 * (number == 1)
        image = np.full((HEIGHT, WIDTH, 3), 10 * number, np.uint8)
        PillowImage.fromarray(image).save(folder / "color" / f"{number:08d}.png")
        write_labels(folder / "masks" / f"{number:08d}.png", labels)
    return folder


def test_a_folder_is_read_frame_by_frame(folder):
    sequence = OnDisk(open_sequence(folder))
    assert (sequence.name, sequence.objects, len(sequence)) == ("small", (2, 5), 3)
    frames = list(sequence.read())
    assert [frame.name for frame in frames] == [f"0000000{number}.png" for number in (1, 2, 3)]
    assert [frame.image[0, 0, 0] for frame in frames] == [10, 20, 30]
    assert [frame.masks.sum(axis=(1, 2)).tolist() for frame in frames] == [[4, 1], [4, 0], [4, 0]]


@pytest.mark.parametrize("name", ["00000001.png", "00000002.png"])
def test_label_maps_of_another_size_than_the_images_are_refused(folder, name):
    write_labels(folder / "masks" / name, np.ones((HEIGHT, WIDTH - 1), np.int32))
    with pytest.raises(InputError, match=f"{name} is 7x6 but its image is 8x6"):
        list(OnDisk(open_sequence(folder)).read())


def test_generated_sequences_are_those_of_reserved_seeds():
    sequences = reserved_sequences(3, 2)
    assert sequences == [Generated(RESERVED_SEED + index, 2) for index in range(3)]
    assert len({sequence.name for sequence in sequences}) == 3
    drawn = generate(RESERVED_SEED + 1, FRAMES, SIZE, 2)
    frames = list(sequences[1].read())
    assert len(frames) == len(sequences[1])
    assert sequences[1].objects == (1, 2)
    np.testing.assert_array_equal([frame.image for frame in frames], drawn.images)
    for frame, labels in zip(frames, drawn.masks, strict=True):
        np.testing.assert_array_equal(frame.masks, [labels == 1, labels == 2])
