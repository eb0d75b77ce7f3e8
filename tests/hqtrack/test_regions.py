import io

import numpy as np
import pytest
from vot.region import Mask
from vot.region.io import read_trajectory_binary, write_trajectory_binary

from hqtrack import regions
from hqtrack.regions import Region, to_mask, to_region


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


def written(mask: np.ndarray) -> np.ndarray:
    """The mask after a way through the toolkit's result file."""
    region = to_region(mask)
    file = io.BytesIO()
    write_trajectory_binary(file, [Mask(region.pixels, (region.x, region.y), optimize=True)])
    file.seek(0)
    (read,) = read_trajectory_binary(file)
    height, width = mask.shape
    return np.asarray(read.rasterize((0, 0, width - 1, height - 1)), np.bool_)


@pytest.mark.parametrize("speck", [1, 2])
def test_the_smallest_specks_of_too_many_go(speck: int) -> None:
    mask = np.zeros((400, 500), np.bool_)
    mask[::2, ::2] = True
    mask[201:301:2, 100:300:4] = True
    # of two pixels each, so they outlive those of one
    mask[::2, 401 : 401 + 4 * (speck - 1)] = True
    large = mask.copy()
    mask[350:390, 100:200] = large[350:390, 100:200] = True
    result = written(mask)
    assert not (result & ~mask).any()
    assert result[350:390, 100:200].all()
    assert 0.6 < np.count_nonzero(result) / np.count_nonzero(mask) < 1


@pytest.mark.parametrize(("limit", "lost"), [(10, 0), (9, 1), (7, 2), (5, 3)])
def test_no_more_is_dropped_than_needed(
    limit: int, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = mask_of((0, 1), (0, 3), (0, 5), (2, 0), (2, 1), (2, 2), (5, 7))
    assert to_region(mask).pixels.shape == mask.shape
    monkeypatch.setattr(regions, "MAX_RUNS", limit)
    left = to_mask(to_region(mask), 6, 8)
    assert np.count_nonzero(mask & ~left) == lost
    assert left[2, :3].all()


def test_one_connected_mask_with_too_many_runs_loses_the_shortest() -> None:
    mask = np.zeros((400, 400), np.bool_)
    mask[:, ::2] = True
    mask[200:220] = True
    result = written(mask)
    assert np.array_equal(result, mask & (np.arange(400)[:, None] // 20 == 10))


@pytest.mark.parametrize("seed", range(3))
def test_noise_can_always_be_written(seed: int) -> None:
    mask = np.random.default_rng(seed).random((720, 1280)) < (0.1, 0.5, 0.9)[seed]
    result = written(mask)
    assert result.any()
    assert not (result & ~mask).any()
