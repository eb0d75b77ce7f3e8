"""What the tests of runs share."""

import pytest

from hqtrack.runs.results import Results
from tests.helpers.followed import RUN, followed


@pytest.fixture
def folder(tmp_path):
    """Four frames."""
    with Results(tmp_path / "out", RUN) as results:
        for number in (1, 3, 5, 7):
            results.write(followed(number), 0.25)
    return tmp_path / "out"
