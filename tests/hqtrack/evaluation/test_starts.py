"""On which frames of a sequence objects start."""

from pathlib import Path

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.evaluation.make_workspace import make_workspace
from hqtrack.evaluation.starts import read_starts
from hqtrack.video import find_sequences
from tests.helpers.workspaces import late_sequence

SIZE = (60, 80)


@pytest.fixture(scope="module")
def sequence(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four frames; object 3 appears on the third."""
    return late_sequence(tmp_path_factory.mktemp("debug"), SIZE)


def test_objects_start_where_they_appear(sequence: Path) -> None:
    starts = read_starts(sequence, None, 1, None)
    assert [sorted(start.names) for start in starts] == [["001", "002"], [], ["003"], []]
    assert starts[2].masks.shape == (1, *SIZE)
    assert [start.names for start in read_starts(sequence, "3", 3, 4)] == [["003"], []]
    assert sorted(read_starts(sequence, None, 4, 4)[0].names) == ["001", "002", "003"]


def test_a_sequence_of_a_workspace_gives_the_same(sequence: Path, tmp_path: Path) -> None:
    make_workspace(tmp_path / "workspace", find_sequences(sequence))
    ours = read_starts(sequence, "1,3", 1, 3)
    theirs = read_starts(tmp_path / "workspace" / "sequences" / "late", "1,3", 1, 3)
    for one, other in zip(ours, theirs, strict=True):
        assert one.names == other.names
        assert np.array_equal(one.masks, other.masks)


@pytest.mark.parametrize(
    ("objects", "first", "last", "message"),
    [
        ("7", 1, None, "choose from 1, 2, 3"),
        (None, 3, 2, "frames 1 to 4"),
        (None, 1, 5, "frames 1 to 4"),
        ("3", 1, None, "another --from"),
    ],
)
def test_what_is_not_there_is_named(
    sequence: Path, objects: str, first: int, last: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_starts(sequence, objects, first, last)
