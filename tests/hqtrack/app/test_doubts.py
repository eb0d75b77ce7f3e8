"""Doubtful places, as a table."""

import pytest

from hqtrack.app.doubts import Reason, find_doubts

SURE = [0.9] * 6


@pytest.mark.parametrize(
    ("confidence", "area", "given", "expected"),
    [
        pytest.param(SURE, [9] * 6, [0], [], id="nothing"),
        pytest.param([0.9, 0.6, 0.3, 0.5, 0.9, 0.4], [9] * 6, [0], [(2, "U"), (5, "U")], id="runs"),
        pytest.param([0.9, 0.6, 0.3, 0.5, 0.9, 0.9], [9] * 6, [2], [(1, "U"), (3, "U")], id="cut"),
        pytest.param(SURE, [9, 9, 0, 0, 9, 9], [0], [(2, "V")], id="vanished"),
        pytest.param(SURE, [9, 9, 18, 18, 9, 9], [0], [(2, "J"), (4, "J")], id="jumped"),
        pytest.param(SURE, [9, 9, 17, 17, 17, 9], [0], [], id="grown"),
        pytest.param(SURE, [9, 9, 30, 30, 30, 30], [0, 2], [], id="corrected"),
        pytest.param([0.9, 0.9, 0, 0, 0.9, 0.9], [9, 9, 0, 0, 9, 9], [0], [(2, "V")], id="absent"),
    ],
)
def test_find_doubts(confidence, area, given, expected):
    reasons = {"U": Reason.UNSURE, "V": Reason.VANISHED, "J": Reason.JUMPED}
    found = find_doubts(confidence, area, [place in given for place in range(6)])
    assert found == [(place, reasons[reason]) for place, reason in expected]
