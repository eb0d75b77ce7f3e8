"""Configurations of a VMOS from a file."""

import pytest

from hqtrack.errors import InputError
from training.vmos.recipes import read_config


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "No such file"), ("{", "Expecting"), ('{"depth": 3}', "depth"), ("[]", "items")],
)
def test_a_configuration_that_cannot_be_read(tmp_path, text, message):
    file = tmp_path / "own.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=message):
        read_config(str(file))
