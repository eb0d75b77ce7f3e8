"""Which states are kept, and which is gone back to."""

import pytest

from hqtrack.app.checkpoints import Checkpoints, keep
from hqtrack.runs.follower import Saved


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([], []),
        ([5, 10, 15], [5, 10, 15]),
        ([5, 10, 15, 20], [10, 15, 20]),
        ([10, 20, 25, 30], [10, 20, 30]),
        ([40, 80, 120, 121, 122], [40, 80, 122]),
    ],
)
def test_keep(frames, expected):
    assert keep(frames, most=3) == expected


def test_many_frames_leave_states_all_over_the_video():
    frames = []
    for frame in range(5, 1001, 5):
        frames = keep([*frames, frame])
    assert frames[-1] == 1000
    assert len(frames) == 4
    assert max(b - a for a, b in zip([0, *frames], frames, strict=False)) < 600


def test_the_last_state_that_is_still_right():
    checkpoints = Checkpoints()
    checkpoints.add(None)
    assert checkpoints.last(99) is None
    for frame in (5, 10, 15):
        checkpoints.add(Saved(frame, (), None, None))
    assert checkpoints.last(14).frame == 10
    checkpoints.cut(10)
    assert checkpoints.last(99).frame == 5
    assert checkpoints.last(4) is None
