"""What the values of mask files mean."""

import cv2
import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.video.mask_rules import of_colours, of_numbers, of_transparency

DISC = (np.hypot(*np.mgrid[-60:60, -80:80]) < 40).astype(np.uint8)
SMOOTH = cv2.GaussianBlur(DISC * 255, (9, 9), 2)
PAIR = np.kron(np.array([[0, 1, 2]], np.uint8), np.ones((6, 6), np.uint8))


def put(*values, dtype=np.uint8):
    """A map of squares with these values, side by side."""
    return np.kron(np.array([values], dtype), np.ones((6, 6), dtype))


@pytest.mark.parametrize(
    ("values", "dtype", "labels", "void"),
    [
        ((0, 0), np.uint8, [0, 0], None),
        ((0, 1), np.uint8, [0, 1], None),
        ((0, 255), np.uint8, [0, 1], None),
        ((255, 255), np.uint8, [1, 1], None),
        ((0, 128), np.uint8, [0, 128], None),
        ((0, 1, 255), np.uint8, [0, 1, 0], [0, 0, 1]),
        ((1, 255), np.uint8, [1, 0], [0, 1]),
        ((0, 1, 254), np.uint8, [0, 1, 254], None),
        ((0, 255), np.uint16, [0, 1], None),
        ((0, 65535), np.uint16, [0, 1], None),
        ((0, 1, 255), np.uint16, [0, 1, 255], None),
        ((0, 300, 65535), np.uint16, [0, 300, 0], [0, 0, 1]),
        ((0, 7, 26001), np.int32, [0, 7, 26001], None),
        ((0, 1), np.float32, [0, 1], None),
        ((0, 3, 9), np.float64, [0, 3, 9], None),
        ((0, 0.2, 1), np.float32, [0, 0, 1], None),
    ],
)
def test_numbers(values, dtype, labels, void):
    read = of_numbers(put(*values, dtype=dtype), "m.png", False)
    np.testing.assert_array_equal(read.labels, put(*labels, dtype=np.int32))
    if void is None:
        assert read.void is None
    else:
        np.testing.assert_array_equal(read.void, put(*void) > 0)


def test_white_alone_is_void_among_numbered_masks():
    read = of_numbers(put(0, 255), "m.png", False, numbered=True)
    assert not read.labels.any()
    np.testing.assert_array_equal(read.void, put(0, 255) > 0)
    assert of_numbers(put(0, 255), "m.png", False).white


@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [
        ((0, -1), np.int32, "numbers from -1 to 0: number objects from 1 to 65534"),
        ((0, 70000), np.int32, "numbers from 0 to 70000"),
        ((0, np.nan), np.float32, r"no numbers \(NaN"),
        ((0, 0.5, 700), np.float32, "numbers with a fraction up to 700"),
        ((0, 0.5, 1), np.float32, "has numbers with a fraction: its 3 values run into each other"),
    ],
)
def test_numbers_that_cannot_be(values, dtype, message):
    with pytest.raises(InputError, match=message):
        of_numbers(put(*values, dtype=dtype), "m.png", False)


@pytest.mark.parametrize("scale", [1, 257, 1 / 255])
def test_a_smooth_mask_is_cut_at_half(scale):
    values = SMOOTH * np.float64(scale)
    if scale > 1:
        values = values.astype(np.uint16)
    read = of_numbers(values, "m.png", False)
    np.testing.assert_array_equal(read.labels, SMOOTH >= 128)
    assert "m.png" in read.notes[0].text
    assert "read as one object" in read.notes[0].text


def test_smooth_masks_of_several_objects_are_refused():
    labels = 60 * DISC + 90 * np.roll(DISC, 45, axis=1)
    smooth = cv2.resize(labels, (240, 180), interpolation=cv2.INTER_CUBIC)
    with pytest.raises(InputError, match=r"looks resampled.*nearest-neighbour"):
        of_numbers(smooth, "m.png", False)
    colours = np.dstack([60 * DISC, 90 * np.roll(DISC, 45, axis=1), 0 * DISC])
    smooth = cv2.resize(colours, (240, 180), interpolation=cv2.INTER_LINEAR)
    with pytest.raises(InputError, match=r"looks resampled: its \d+ colours run into"):
        of_colours(smooth, "m.png", False)


def test_255_in_a_deep_file_is_said():
    [note] = of_numbers(put(0, 1, 255, dtype=np.uint16), "m.png", False).notes
    assert "255 is an object" in note.text


def colours(*rows):
    return np.kron(np.array([rows], np.uint8), np.ones((6, 6, 1), np.uint8))


def test_the_palette_of_davis_gives_its_numbers():
    found = of_colours(colours((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)), "m", False)
    np.testing.assert_array_equal(found.labels, put(0, 1, 2, 3))
    void = of_colours(colours((0, 0, 0), (128, 0, 0), (224, 224, 192)), "m", False)
    np.testing.assert_array_equal(void.labels, put(0, 1, 0))
    np.testing.assert_array_equal(void.void, put(0, 0, 1) > 0)


def test_a_colour_has_the_same_number_in_every_file():
    one = of_colours(colours((0, 0, 0), (9, 200, 3), (255, 0, 255)), "m", False).labels
    other = of_colours(colours((0, 0, 0), (0, 0, 7), (9, 200, 3)), "m", False).labels
    assert one[0, 6] == other[0, 12]
    assert len({*one[0].tolist(), *other[0].tolist()}) == 4


def test_colours_without_background_are_refused():
    with pytest.raises(InputError, match=r"no black pixel.*paint what is no object black"):
        of_colours(colours((255, 255, 255), (128, 0, 0)), "m.png", False)


def test_one_colour_with_soft_edges_is_one_object():
    read = of_colours(np.dstack([SMOOTH, SMOOTH // 2, 0 * SMOOTH]), "m.png", False)
    np.testing.assert_array_equal(read.labels, SMOOTH >= 128)
    assert read.notes[0].kind == "soft"


def test_grey_with_opacity_is_numbers():
    opaque = np.full((6, 18, 1), 255, np.uint8)
    read = of_transparency(np.dstack([PAIR] * 3 + [opaque]), "m.png")
    np.testing.assert_array_equal(read.labels, PAIR)
