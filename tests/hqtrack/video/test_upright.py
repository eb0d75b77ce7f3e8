"""Pictures as players show them, for every way in which they can lie."""

import struct

import numpy as np
import pytest

from hqtrack.video.upright import upright

PICTURE = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
ROTATED = {times: np.rot90(PICTURE, times) for times in range(4)}


def matrix(a, b, c, d):
    numbers = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return struct.pack("=9i", *(n << 16 if n in (1, -1) else n for n in numbers))


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((1, 0, 0, 1), PICTURE),
        ((-1, 0, 0, 1), PICTURE[:, ::-1]),
        ((1, 0, 0, -1), PICTURE[::-1]),
        ((-1, 0, 0, -1), ROTATED[2]),
        ((0, 1, -1, 0), ROTATED[3]),
        ((0, -1, 1, 0), ROTATED[1]),
        ((0, 1, 1, 0), PICTURE.transpose(1, 0, 2)),
        ((0, -1, -1, 0), ROTATED[2].transpose(1, 0, 2)),
        ((65000, -9000, 9000, 65000), PICTURE),
    ],
)
def test_every_matrix(numbers, expected):
    shown = upright(PICTURE, matrix(*numbers))
    assert shown.flags.c_contiguous
    np.testing.assert_array_equal(shown, expected)


@pytest.mark.parametrize("none", [None, b"", b"short"])
def test_without_a_matrix(none):
    np.testing.assert_array_equal(upright(PICTURE, none), PICTURE)
