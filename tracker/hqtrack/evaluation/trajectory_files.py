"""Checks the toolkit's files of regions before the toolkit decodes them.

The toolkit's decoder writes wherever a file's run lengths point, also outside of the mask. A
damaged or malicious file could crash the process or worse, so this module checks the sizes first.
"""

import struct
from collections.abc import Iterable

_MOST_PIXELS = 2**28
"""Most pixels of a mask; an 8K image has 2**25."""

_FIELDS = {0: "<I", 1: "<ffff", 4: "<ff"}
"""The fields after the number of a kind of region: special, rectangle, point."""

_POLYGON, _MASK = 2, 3


def examine_text(lines: Iterable[str]) -> list[bool]:
    """For each line of a text file whether it has the place of the object, rather than ``0``.

    Raises ValueError, with the number of the line, for a line that is not a region.
    """
    known = []
    for number, line in enumerate(lines, start=1):
        try:
            known.append(_examine_line(line.strip()))
        except ValueError as error:
            raise ValueError(f"line {number} is not a region ({error})") from error
    return known


def _examine_line(line: str) -> bool:
    if not line:
        raise ValueError("it is empty")
    if line.startswith("m"):
        x, y, width, height, *runs = (int(field) for field in line[1:].split(","))
        if max(abs(x), abs(y)) > _MOST_PIXELS:
            raise ValueError(f"it lies at {x},{y}")
        _check_runs(width, height, runs)
        return True
    count = len([float(field) for field in line.split(",")])
    if count not in (1, 2, 4) and (count < 6 or count % 2):
        raise ValueError(f"{count} numbers")
    return count > 1


def _check_runs(width: int, height: int, runs: Iterable[int]) -> None:
    if width < 0 or height < 0 or width * height > _MOST_PIXELS:
        raise ValueError(f"a mask of {width}x{height}")
    total = 0
    for run in runs:
        total += run
        if run < 0 or total > width * height:
            raise ValueError(f"its runs do not fit a mask of {width}x{height}")


def examine_binary(content: bytes) -> int:
    """The number of regions in a binary file; raises ValueError if it is incomplete or invalid."""
    try:
        _, count = struct.unpack_from("<hI", content)
        offset = struct.calcsize("<hI")
        for _ in range(count):
            offset = _after(content, offset)
    except struct.error as error:
        raise ValueError(f"it is cut off ({error})") from error
    return int(count)


def _after(content: bytes, offset: int) -> int:
    """The end of the region at this offset."""
    (kind,) = struct.unpack_from("<B", content, offset)
    offset += 1
    if kind in _FIELDS:
        struct.unpack_from(_FIELDS[kind], content, offset)
        return offset + struct.calcsize(_FIELDS[kind])
    if kind == _POLYGON:
        (points,) = struct.unpack_from("<H", content, offset)
        layout = f"<{2 * points}f"
        struct.unpack_from(layout, content, offset + 2)
        return offset + 2 + struct.calcsize(layout)
    if kind != _MASK:
        raise ValueError(f"there is no region of kind {kind}")
    _, _, width, height, count = struct.unpack_from("<hhHHH", content, offset)
    offset += struct.calcsize("<hhHHH")
    _check_runs(width, height, struct.unpack_from(f"<{count}H", content, offset))
    return offset + 2 * count
