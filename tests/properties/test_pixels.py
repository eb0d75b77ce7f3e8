"""Properties of writing and reading any masks and label maps, and of reading any bytes."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image as PillowImage

from hqtrack.errors import InputError
from hqtrack.masks import label_masks, mask_boxes, masks_to_labels
from hqtrack.regions import to_mask, to_region
from hqtrack.video import read_image, read_labels, write_labels
from hqtrack.video.mask_files import read_numbers
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


def maps(highest: int, side: int = 24) -> st.SearchStrategy[np.ndarray]:
    shapes = arrays.array_shapes(min_dims=2, max_dims=2, max_side=side)
    values = st.integers(0, highest)
    return shapes.flatmap(lambda shape: arrays.arrays(np.int32, shape, elements=values))


@given(maps(65534) | maps(255))
def test_numbers_are_read_as_written(folder: Path, labels: np.ndarray) -> None:
    write_labels(folder / "labels.png", labels)
    assert np.array_equal(read_numbers(folder / "labels.png"), labels)


def as_colours(labels: np.ndarray) -> np.ndarray:
    """The colours of the numbers in the palette of DAVIS."""
    palette = np.zeros((256, 3), np.uint8)
    for number in range(256):
        for bit in range(8):
            palette[number, bit % 3] |= ((number >> bit) & 1) << (7 - bit // 3)
    return palette[labels]


FORMATS = {
    "grey.png": lambda labels: PillowImage.fromarray(labels.astype(np.uint8)),
    "grey.bmp": lambda labels: PillowImage.fromarray(labels.astype(np.uint8)),
    "deep.png": lambda labels: PillowImage.fromarray(labels.astype(np.uint16)),
    "deep.tif": lambda labels: PillowImage.fromarray(labels.astype(np.int32)),
    "float.tif": lambda labels: PillowImage.fromarray(labels.astype(np.float32)),
    "equal.png": lambda labels: PillowImage.fromarray(np.dstack([labels.astype(np.uint8)] * 3)),
    "colours.png": lambda labels: PillowImage.fromarray(as_colours(labels)),
    "opaque.png": lambda labels: PillowImage.fromarray(
        np.dstack([as_colours(labels), np.full_like(labels, 255, np.uint8)])
    ),
}


@pytest.mark.parametrize("name", [*FORMATS, "indexed.png", "array.npy"])
@given(labels=maps(254, side=8))
def test_objects_are_read_from_any_format(folder: Path, name: str, labels: np.ndarray) -> None:
    """Objects as people draw them: none is thinner than three pixels."""
    drawn = np.kron(labels, np.ones((3, 3), np.int32))
    drawn[:3, :3] = 0
    path = folder / name
    if name == "indexed.png":
        write_labels(path, drawn)
    elif name == "array.npy":
        np.save(path, drawn)
    else:
        FORMATS[name](drawn).save(path)
    steps = np.abs(np.concatenate([np.diff(labels).ravel(), np.diff(labels, axis=0).ravel()]))
    assume(len(np.unique(drawn)) < 16 or np.count_nonzero(steps == 1) < np.count_nonzero(steps) / 2)
    assert np.array_equal(read_labels(path), drawn)


@given(st.integers(-9, -1) | st.integers(65535, 70000))
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
    for read in (read_image, read_labels, read_numbers):
        # any other exception fails
        with contextlib.suppress(InputError):
            assert read(path).ndim in (2, 3)
