"""Lines about objects, and from which frame on a change of them matters."""

import pytest

from hqtrack.runs.objects import Numbered, Place, describe_objects, first_change, places_in
from hqtrack.runs.targets import Box, Correction, Gone, Points, Target

CAT = Target("my (1) cat", 3, None, Box(1, 2, 3, 4), (Correction(9, Gone()),))
DOG = Target("dog", 4, 7, Points(((5, 6),)))


def test_lines_are_read_again():
    lines = describe_objects([CAT, DOG])
    assert lines == (
        "my (1) cat (3) from the first frame: box:1,2,3,3",
        "my (1) cat (3) corrected from frame 9: gone",
        "dog (4) from frame 7: point:5,6",
    )
    cat, dog = Numbered(3, "my (1) cat"), Numbered(4, "dog")
    assert places_in(lines) == (Place(cat, None), Place(cat, 9), Place(dog, 7))
    for line in ("dog", "dog (4) from frame x: gone", "dog (x) from frame 4: gone"):
        with pytest.raises(ValueError, match="dog"):
            places_in([line])


FIRST, CORRECTED, LATER = describe_objects([CAT, DOG])


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param([FIRST], [FIRST], None, id="nothing"),
        pytest.param([FIRST], [FIRST, CORRECTED], 9, id="a correction"),
        pytest.param([FIRST], [FIRST, CORRECTED, LATER], 7, id="the earlier one of two"),
        pytest.param([FIRST, LATER], [FIRST], None, id="one less is another run"),
        pytest.param([FIRST, LATER], [FIRST, CORRECTED], None, id="one less, one more"),
        pytest.param([LATER], [FIRST, LATER], None, id="from the first frame on"),
        pytest.param([FIRST, LATER], [LATER, FIRST], None, id="another order"),
        pytest.param(["?"], [FIRST, CORRECTED], None, id="no line of ours"),
    ],
)
def test_first_change(before, now, expected):
    assert first_change(before, now) == expected
