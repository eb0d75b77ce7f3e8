"""Properties of writing and reading any masks and label maps, and of reading any bytes."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hqtrack.errors import InputError
from hqtrack.masks import label_masks, mask_boxes, masks_to_labels
from hqtrack.regions import to_mask, to_region
from hqtrack.video import read_image, read_labels, write_labels
from hqtrack.video.run_lengths import decode_mask, encode_mask

sizes = arrays.array_shapes(min_dims=2, max_dims=2, max_side=24)
masks = arrays.arrays(np.bool_, sizes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pixels")


@given(masks)
def test_a_region_is_its_mask_again(mask: np.ndarray) -> None:
    region = to_region(mask)
    assert np.array_equal(to_mask(region, *mask.shape), mask)
    assert region.pixels.flags.c_contiguous
    # a cut-out is no larger than the box, but for the column that the toolkit needs
    left, top, right, bottom = mask_boxes(mask[None])[0]
    if mask.any():
        assert region.pixels.shape == (bottom - top + 1, max(right - left + 1, 2))


@given(masks, st.integers(-30, 30), st.integers(-30, 30))
def test_a_region_anywhere_is_cut_at_the_border(mask: np.ndarray, x: int, y: int) -> None:
    region = to_region(mask)._replace(x=x, y=y)
    placed = to_mask(region, 20, 16)
    rows, columns = np.nonzero(region.pixels)
    inside = {(r + y, c + x) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)}
    expected = {(r, c) for r, c in inside if 0 <= r < 20 and 0 <= c < 16}
    assert set(map(tuple, np.argwhere(placed).tolist())) == expected


@given(masks)
def test_run_lengths_are_their_mask_again(mask: np.ndarray) -> None:
    assert np.array_equal(decode_mask(encode_mask(mask), *mask.shape), mask)


@given(arrays.arrays(np.bool_, arrays.array_shapes(min_dims=3, max_dims=3, max_side=12)))
def test_a_label_map_gives_each_pixel_to_the_last_of_its_masks(stack: np.ndarray) -> None:
    labels = masks_to_labels(stack)
    found = label_masks(labels, range(1, len(stack) + 1))
    above = np.logical_or.accumulate(stack[::-1], axis=0)[::-1]
    last = np.concatenate([stack[:-1] & ~above[1:], stack[-1:]])
    assert np.array_equal(found, last)
    assert np.array_equal(labels > 0, stack.any(axis=0))


@given(sizes.flatmap(lambda size: arrays.arrays(np.int32, size, elements=st.integers(0, 65535))))
def test_16_bit_label_maps_are_read_as_written(folder: Path, labels: np.ndarray) -> None:
    # 255 has a meaning of its own in files of 8 bits
    labels[0, 0] = 256
    write_labels(folder / "labels.png", labels)
    assert np.array_equal(read_labels(folder / "labels.png"), labels)


@given(sizes.flatmap(lambda size: arrays.arrays(np.int32, size, elements=st.integers(0, 254))))
def test_8_bit_label_maps_are_read_as_written(folder: Path, labels: np.ndarray) -> None:
    write_labels(folder / "labels.png", labels)
    assert np.array_equal(read_labels(folder / "labels.png"), labels)


@given(st.integers(-9, -1) | st.integers(65536, 70000))
def test_labels_that_do_not_fit_a_file_are_refused(folder: Path, label: int) -> None:
    with pytest.raises(InputError, match="do not fit"):
        write_labels(folder / "unfit.png", np.array([[0, label]]))
    assert not (folder / "unfit.png").exists()


@given(st.data(), masks)
def test_a_damaged_file_is_read_or_refused(
    folder: Path, data: st.DataObject, mask: np.ndarray
) -> None:
    path = folder / "damaged.png"
    write_labels(path, mask.astype(np.int32))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    for read in (read_image, read_labels):
        # any other exception fails
        with contextlib.suppress(InputError):
            assert read(path).ndim in (2, 3)
