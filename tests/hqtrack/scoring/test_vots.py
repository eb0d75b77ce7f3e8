"""The toolkit's measures on tracks whose measures can be counted by hand."""

import numpy as np
import pytest

from hqtrack.scoring.vots import Tracks, VotsMeasures, analyse, join

EMPTY = np.zeros((20, 30), bool)


def square(left, side=4):
    mask = EMPTY.copy()
    mask[5 : 5 + side, left : left + side] = True
    return mask


HERE, HALF, ELSEWHERE = square(0), square(2), square(20)
"""Half overlaps with here by 8 of 24 pixels."""


def measured(*objects):
    """Analyse objects, each given by the true and the reported mask of frames after the first."""
    tracks = Tracks(np.stack([HERE] * len(objects)))
    for pairs in zip(*objects, strict=True):
        true, reported = zip(*pairs, strict=True)
        tracks.add(np.stack(true), np.stack(reported))
    return analyse(tracks)


FOLLOWED = [(HERE, HERE), (HERE, HALF), (HERE, ELSEWHERE), (HERE, EMPTY)]
LOST = [(HERE, HERE), (HERE, EMPTY), (HERE, EMPTY), (HERE, EMPTY)]


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        pytest.param(
            [FOLLOWED],
            # five frames with the first one: tracked on two, elsewhere on one, silent on two;
            # accuracy takes the first one for tracked with an overlap of 0
            VotsMeasures((1 + 1 / 3) / 5, (1 + 1 / 3) / 3, 2 / 5, 2 / 5, 1 / 5, None),
            id="every kind of frame",
        ),
        pytest.param(
            [FOLLOWED, LOST],
            VotsMeasures(
                ((1 + 1 / 3) / 5 + 1 / 5) / 2, (4 / 9 + 1 / 2) / 2, 3 / 10, 6 / 10, 1 / 10, None
            ),
            id="mean over objects",
        ),
        pytest.param(
            [[(EMPTY, EMPTY)] * 9 + [(EMPTY, HERE)] * 3 + [(HERE, HERE)]],
            # absent on twelve of fourteen frames
            VotsMeasures((9 + 1) / 14, 1 / 2, 1 / 2, 1 / 2, 0, 9 / 12),
            id="absent and reported",
        ),
        pytest.param(
            [[(EMPTY, HERE)] * 10 + [(HERE, HERE)]],
            VotsMeasures(1 / 12, 1 / 2, 1 / 2, 1 / 2, 0, None),
            id="absent for too short to be judged",
        ),
    ],
)
def test_measures_counted_by_hand(objects, expected):
    assert tuple(measured(*objects).measures()) == pytest.approx(tuple(expected))


def test_several_sequences_are_averaged_and_absence_where_there_is_any():
    followed = measured(FOLLOWED)
    absent = measured([(EMPTY, EMPTY)] * 11, [(HERE, HERE)] * 11)
    one, other, both = (a.measures() for a in (followed, absent, join([followed, absent])))
    assert both[:5] == pytest.approx(np.mean([one[:5], other[:5]], axis=0))
    assert one.adq is None
    assert both.adq == other.adq == 1


def test_an_object_of_which_nothing_is_tracked_counts_zero():
    measures = measured([(HERE, ELSEWHERE)] * 3).measures()
    assert measures == VotsMeasures(0, 0, 0, 1 / 4, 3 / 4, None)
