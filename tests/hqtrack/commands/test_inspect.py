"""``hqtrack inspect``; see test_page.py for what it writes."""

import pytest

from hqtrack.cli import main
from hqtrack.errors import InputError
from hqtrack.records.page import write_page
from tests.helpers.recorded import make_record


@pytest.fixture
def record(tmp_path):
    return make_record(tmp_path / "record")


def test_the_command_writes_a_page_into_the_record(record, capsys):
    assert main(["inspect", str(record)]) == 0
    page = record / "inspect.html"
    assert f"{page} (0.0 MiB): open it in a browser" in capsys.readouterr().out
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_no_record_and_an_empty_one(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "nothing")]) == 2
    assert "there is no record in" in capsys.readouterr().err
    make_record(tmp_path / "empty", frames=0)
    with pytest.raises(InputError, match="contains no frame yet"):
        write_page(tmp_path / "empty", tmp_path / "page.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]
