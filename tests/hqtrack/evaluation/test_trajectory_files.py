"""Files of regions are checked before the toolkit's native code decodes them."""

import contextlib
import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from vot.region import Mask, Point, Polygon, Rectangle, Special
from vot.region.io import parse_region, write_trajectory_binary

from hqtrack.evaluation.trajectory_files import examine_binary, examine_text

masks = arrays.arrays(
    np.uint8,
    arrays.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements={"min_value": 0, "max_value": 1},
).map(lambda pixels: Mask(pixels, (3, 5)))
numbers = st.floats(-1000, 1000, width=32)
regions = st.one_of(
    masks,
    st.integers(0, 3).map(Special),
    st.tuples(numbers, numbers).map(lambda p: Point(*p)),
    st.tuples(numbers, numbers, numbers, numbers).map(lambda p: Rectangle(*p)),
    st.lists(st.tuples(numbers, numbers), min_size=3, max_size=5).map(Polygon),
)


def written(trajectory: list[object]) -> bytes:
    file = io.BytesIO()
    write_trajectory_binary(file, trajectory)
    return file.getvalue()


@given(st.lists(regions, max_size=5))
def test_what_the_toolkit_writes_is_fine(trajectory: list[object]) -> None:
    assert examine_binary(written(trajectory)) == len(trajectory)
    special = [not isinstance(region, Special) for region in trajectory]
    assert examine_text([str(region) for region in trajectory]) == special


@given(st.lists(regions, min_size=1, max_size=3), st.data())
def test_what_is_cut_off_is_no_trajectory(trajectory: list[object], data: st.DataObject) -> None:
    content = written(trajectory)
    kept = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(ValueError, match="cut off"):
        examine_binary(content[:kept])


@given(st.binary(max_size=60))
def test_any_bytes_are_counted_or_refused(content: bytes) -> None:
    # any other exception fails
    with contextlib.suppress(ValueError):
        assert examine_binary(b"\1\0" + content) >= 0


@given(masks, st.integers(1, 60000))
def test_a_run_that_leaves_the_mask_is_refused(mask: Mask, more: int) -> None:
    height, width = mask.mask.shape
    runs = [width * height, more]
    line = f"m0,0,{width},{height}," + ",".join(map(str, runs))
    with pytest.raises(ValueError, match=r"line 1 .*runs do not fit"):
        examine_text([line])
    binary = struct.pack("<hIBhhHHH2H", 1, 1, 3, 0, 0, width, height, 2, *runs)
    with pytest.raises(ValueError, match="runs do not fit"):
        examine_binary(binary)


@given(st.lists(st.text("m0123456789,.-enaif ", max_size=12), max_size=3))
def test_lines_that_pass_are_regions_to_the_toolkit(lines: list[str]) -> None:
    try:
        known = examine_text(lines)
    except ValueError:
        return
    assert len(known) == len(lines)
    for line in lines:
        assert parse_region(line.strip()) is not None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "m",
        "m1,2,3",
        "m0,0,-1,4,0",
        "m0,0,2,2,-1,5",
        "m0,0,70000,70000,0",
        "1,2,3",
        "a",
        "m0,0,2,2,x",
    ],
)
def test_lines_that_are_no_regions_are_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2 is not a region"):
        examine_text(["0", line])
