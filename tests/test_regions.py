import numpy as np
import pytest

from hqtrack.regions import MAX_RUNS, Region, to_mask, to_region


def mask_of(*pixels: tuple[int, int], shape: tuple[int, int] = (6, 8)) -> np.ndarray:
    mask = np.zeros(shape, np.bool_)
    for row, column in pixels:
        mask[row, column] = True
    return mask


def test_a_mask_is_cut_to_its_box() -> None:
    region = to_region(mask_of((2, 3), (4, 6)))
    assert (region.x, region.y) == (3, 2)
    assert region.pixels.tolist() == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert region.pixels.dtype == np.uint8


@pytest.mark.parametrize("view", [np.asfortranarray, lambda mask: mask[::-1, ::-1]])
def test_pixels_are_contiguous_whatever_came(view) -> None:  # type: ignore[no-untyped-def]
    mask = view(np.random.default_rng(0).random((9, 7)) > 0.5)
    region = to_region(mask)
    assert region.pixels.flags.c_contiguous
    assert np.array_equal(to_mask(region, 9, 7), mask)


def test_an_empty_mask_is_one_background_pixel() -> None:
    region = to_region(mask_of())
    assert region.pixels.tolist() == [[0]]
    assert not to_mask(region, 6, 8).any()


@pytest.mark.parametrize(("column", "x"), [(0, -1), (3, 2), (7, 6)])
def test_a_single_column_gets_a_second_one(column: int, x: int) -> None:
    mask = mask_of((1, column), (2, column))
    region = to_region(mask)
    assert region.pixels.shape == (2, 2)
    assert region.x == x
    assert np.array_equal(to_mask(region, 6, 8), mask)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (0, 0, mask_of((0, 0), (0, 1), (1, 0), (1, 1))),
        (7, 5, mask_of((5, 7))),
        (-1, -1, mask_of((0, 0))),
        (20, 0, mask_of()),
    ],
)
def test_what_sticks_out_of_the_frame_is_cut_off(x: int, y: int, expected: np.ndarray) -> None:
    assert np.array_equal(to_mask(Region(np.ones((2, 2), np.uint8), x, y), 6, 8), expected)


def test_a_mask_with_too_many_runs_is_thinned_out() -> None:
    mask = np.zeros((400, 400), np.bool_)
    mask[:, ::2] = True
    mask[200:220, 100:200] = True
    pixels = to_region(mask).pixels
    assert np.count_nonzero(np.diff(pixels.ravel())) < MAX_RUNS
    assert np.array_equal(np.argwhere(pixels).min(axis=0), [200, 100])
    assert pixels.sum() == 20 * 101
